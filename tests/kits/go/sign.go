package localyun

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"sort"
	"strings"
	"time"
)

// sign gives the form of a call, with signature version 1.0.
func sign(action string, parameters map[string]string, keyID, keySecret, securityToken string) string {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	form := map[string]string{
		"Action": action, "Format": "JSON", "Version": "2016-11-01", "AccessKeyId": keyID, "SignatureMethod": "HMAC-SHA1",
		"SignatureVersion": "1.0", "SignatureNonce": hex.EncodeToString(nonce), "Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05Z"),
	}
	if securityToken != "" {
		form["SecurityToken"] = securityToken
	}
	// A test may send another one of each, to see it refused.
	for name, value := range parameters {
		form[name] = value
	}
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	// By their names alone: ResourceId.1 stands before ResourceId.10, though "=" stands behind "0".
	sort.Strings(names)
	pairs := make([]string, 0, len(form))
	for _, name := range names {
		pairs = append(pairs, escaped(name)+"="+escaped(form[name]))
	}
	words := strings.Join(pairs, "&")
	mac := hmac.New(sha1.New, []byte(keySecret+"&"))
	mac.Write([]byte("POST&%2F&" + escaped(words)))
	return words + "&Signature=" + escaped(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func escaped(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}
