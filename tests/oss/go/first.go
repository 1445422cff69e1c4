package main

import (
	"bytes"
	"io"

	"github.com/aliyun/aliyun-oss-go-sdk/oss"
)

// first is aliyun-oss-go-sdk, which puts the bucket into the path when the endpoint is an IP address.
type first struct {
	client *oss.Client
	bucket *oss.Bucket
}

func openFirst(endpoint, id, secret, name string) (store, error) {
	client, err := oss.New(endpoint, id, secret)
	if err != nil {
		return nil, err
	}
	bucket, err := client.Bucket(name)
	return &first{client, bucket}, err
}

func (s *first) createBucket() error { return s.client.CreateBucket(s.bucket.BucketName) }

func (s *first) put(key string, body []byte) error {
	return s.bucket.PutObject(key, bytes.NewReader(body))
}

func (s *first) get(key string) ([]byte, error) { return all(s.bucket.GetObject(key)) }

func (s *first) getRange(key string, from, to int64) ([]byte, error) {
	return all(s.bucket.GetObject(key, oss.Range(from, to)))
}

func all(body io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func (s *first) list(prefix string) ([]string, error) {
	var keys []string
	token := ""
	for {
		page, err := s.bucket.ListObjectsV2(oss.Prefix(prefix), oss.MaxKeys(1000), oss.ContinuationToken(token))
		if err != nil {
			return nil, err
		}
		for _, item := range page.Objects {
			keys = append(keys, item.Key)
		}
		if !page.IsTruncated {
			return keys, nil
		}
		token = page.NextContinuationToken
	}
}

func (s *first) uploadParts(key, file string) error {
	return s.bucket.UploadFile(key, file, partSize, oss.Routines(3))
}

func (s *first) download(key, file string) error {
	return s.bucket.DownloadFile(key, file, partSize, oss.Routines(3))
}

func (s *first) sign(key string, seconds int64) (string, error) {
	return s.bucket.SignURL(key, oss.HTTPGet, seconds)
}

func (s *first) remove(keys []string) error {
	for len(keys) > 0 {
		size := len(keys)
		if size > 1000 {
			size = 1000
		}
		if _, err := s.bucket.DeleteObjects(keys[:size]); err != nil {
			return err
		}
		keys = keys[size:]
	}
	return nil
}

func (s *first) deleteBucket() error { return s.client.DeleteBucket(s.bucket.BucketName) }
