// The OSS dialect as both Go SDKs speak it: aliyun-oss-go-sdk with signature version 1, alibabacloud-oss-go-sdk-v2 with
// version 4. Usage: client v1|v2, with LOCALYUN_OSS and LOCALYUN_API in the environment. The clock of the server is
// moved past the end of a signed URL, so each run wants a server of its own.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	awkward  = "rec/a b~中文+%2F/s1.ts"
	many     = 2500
	partSize = 10 << 20
	bigSize  = 100 << 20
)

// store is what the checks need of an SDK.
type store interface {
	createBucket() error
	put(key string, body []byte) error
	get(key string) ([]byte, error)
	getRange(key string, first, last int64) ([]byte, error)
	list(prefix string) ([]string, error)
	uploadParts(key, file string) error
	download(key, file string) error
	sign(key string, seconds int64) (string, error)
	remove(keys []string) error
	deleteBucket() error
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func expect(good bool, format string, values ...any) {
	if !good {
		check(fmt.Errorf(format, values...), "wrong")
	}
}

func fetch(url string) (int, []byte) {
	answer, err := http.Get(url)
	check(err, "GET "+url)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err, "body of "+url)
	return answer.StatusCode, body
}

func advance(seconds int) {
	url := setting("LOCALYUN_API", "http://127.0.0.1:8080") + "/_localyun/clock/advance"
	answer, err := http.Post(url, "application/json", strings.NewReader(fmt.Sprintf(`{"seconds":%d}`, seconds)))
	check(err, "advance")
	answer.Body.Close()
	expect(answer.StatusCode == 200, "advance answered %d", answer.StatusCode)
}

func objects(s store) {
	check(s.put(awkward, []byte("0123456789")), "put")
	got, err := s.get(awkward)
	check(err, "get")
	expect(string(got) == "0123456789", "got %q", got)
	part, err := s.getRange(awkward, 2, 5)
	check(err, "range")
	expect(string(part) == "2345", "range %q", part)
	_, err = s.get("absent")
	expect(err != nil && strings.Contains(err.Error(), "NoSuchKey"), "absent key: %v", err)
	fmt.Println("ok: put, get, range")
}

func listing(s store) {
	numbers := make(chan int)
	failures := make(chan error, many)
	var senders sync.WaitGroup
	for at := 0; at < 8; at++ {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for number := range numbers {
				failures <- s.put(fmt.Sprintf("many/%05d", number), []byte("x"))
			}
		}()
	}
	for number := 0; number < many; number++ {
		numbers <- number
	}
	close(numbers)
	senders.Wait()
	for at := 0; at < many; at++ {
		check(<-failures, "put many")
	}
	keys, err := s.list("many/")
	check(err, "list")
	expect(len(keys) == many, "%d keys listed", len(keys))
	for number, key := range keys {
		expect(key == fmt.Sprintf("many/%05d", number), "key %d is %s", number, key)
	}
	check(s.remove(keys), "delete many")
	left, err := s.list("")
	check(err, "list")
	expect(len(left) == 1 && left[0] == awkward, "left: %v", left)
	fmt.Printf("ok: list and delete %d keys\n", many)
}

func multipart(s store) {
	folder, err := os.MkdirTemp("", "oss-client")
	check(err, "temporary folder")
	defer os.RemoveAll(folder)
	body := make([]byte, bigSize)
	_, err = rand.Read(body)
	check(err, "random bytes")
	source, copied := filepath.Join(folder, "source"), filepath.Join(folder, "copy")
	check(os.WriteFile(source, body, 0o600), "source file")
	check(s.uploadParts("big", source), "multipart upload")
	check(s.download("big", copied), "download")
	back, err := os.ReadFile(copied)
	check(err, "copy")
	expect(bytes.Equal(body, back), "the 100 MB came back changed")
	check(s.remove([]string{"big"}), "delete big")
	fmt.Println("ok: multipart of 100 MB")
}

func signedURL(s store) {
	url, err := s.sign(awkward, 60)
	check(err, "sign")
	status, body := fetch(url)
	expect(status == 200 && string(body) == "0123456789", "signed URL: %d %s", status, body)
	status, body = fetch(strings.Replace(url, "s1.ts", "s2.ts", 1))
	expect(status == 403 && bytes.Contains(body, []byte("SignatureDoesNotMatch")), "other key: %d %s", status, body)
	plain, _, _ := strings.Cut(url, "?")
	status, _ = fetch(plain)
	expect(status == 403, "no signature: %d", status)
	advance(61)
	status, body = fetch(url)
	expect(status == 403 && bytes.Contains(body, []byte("Request has expired.")), "after 61 s: %d %s", status, body)
	fmt.Println("ok: signed URL valid, tampered, expired")
}

func main() {
	expect(len(os.Args) == 2, "usage: client v1|v2")
	suffix := make([]byte, 8)
	_, err := rand.Read(suffix)
	check(err, "random name")
	endpoint := setting("LOCALYUN_OSS", "http://127.0.0.1:9000")
	id, secret := setting("LOCALYUN_KEY_ID", "testid"), setting("LOCALYUN_KEY_SECRET", "testsecret")
	open := map[string]func(endpoint, id, secret, bucket string) (store, error){"v1": openFirst, "v2": openSecond}[os.Args[1]]
	expect(open != nil, "no SDK %q", os.Args[1])
	s, err := open(endpoint, id, secret, "t-"+hex.EncodeToString(suffix))
	check(err, "client")
	check(s.createBucket(), "create bucket")
	objects(s)
	listing(s)
	multipart(s)
	signedURL(s)
	check(s.remove([]string{awkward}), "delete")
	check(s.deleteBucket(), "delete bucket")
	fmt.Println("ok: delete")
}
