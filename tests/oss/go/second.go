package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

// second is alibabacloud-oss-go-sdk-v2 with the bucket in the path.
type second struct {
	client *oss.Client
	bucket string
}

var background = context.Background()

func openSecond(endpoint, id, secret, name string) (store, error) {
	config := oss.LoadDefaultConfig().
		WithEndpoint(endpoint).
		WithRegion("cn-shanghai").
		WithUsePathStyle(true).
		WithCredentialsProvider(credentials.NewStaticCredentialsProvider(id, secret))
	return &second{oss.NewClient(config), name}, nil
}

func (s *second) createBucket() error {
	_, err := s.client.PutBucket(background, &oss.PutBucketRequest{Bucket: oss.Ptr(s.bucket)})
	return err
}

func (s *second) put(key string, body []byte) error {
	_, err := s.client.PutObject(background, &oss.PutObjectRequest{
		Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key), Body: bytes.NewReader(body),
	})
	return err
}

func (s *second) get(key string) ([]byte, error) {
	return s.read(&oss.GetObjectRequest{Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key)})
}

func (s *second) getRange(key string, from, to int64) ([]byte, error) {
	wanted := oss.Ptr(fmt.Sprintf("bytes=%d-%d", from, to))
	return s.read(&oss.GetObjectRequest{Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key), Range: wanted})
}

func (s *second) read(request *oss.GetObjectRequest) ([]byte, error) {
	answer, err := s.client.GetObject(background, request)
	if err != nil {
		return nil, err
	}
	return all(answer.Body, nil)
}

func (s *second) list(prefix string) ([]string, error) {
	var keys []string
	pages := s.client.NewListObjectsV2Paginator(&oss.ListObjectsV2Request{
		Bucket: oss.Ptr(s.bucket), Prefix: oss.Ptr(prefix), MaxKeys: 1000,
	})
	for pages.HasNext() {
		page, err := pages.NextPage(background)
		if err != nil {
			return nil, err
		}
		for _, item := range page.Contents {
			keys = append(keys, oss.ToString(item.Key))
		}
	}
	return keys, nil
}

func (s *second) uploadParts(key, file string) error {
	uploader := s.client.NewUploader(func(options *oss.UploaderOptions) { options.PartSize = partSize })
	_, err := uploader.UploadFile(background, &oss.PutObjectRequest{Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key)}, file)
	return err
}

func (s *second) download(key, file string) error {
	_, err := s.client.GetObjectToFile(background, &oss.GetObjectRequest{Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key)}, file)
	return err
}

func (s *second) sign(key string, seconds int64) (string, error) {
	request := &oss.GetObjectRequest{Bucket: oss.Ptr(s.bucket), Key: oss.Ptr(key)}
	signed, err := s.client.Presign(background, request, oss.PresignExpires(time.Duration(seconds)*time.Second))
	if err != nil {
		return "", err
	}
	return signed.URL, nil
}

func (s *second) remove(keys []string) error {
	for len(keys) > 0 {
		size := len(keys)
		if size > 1000 {
			size = 1000
		}
		var batch []oss.DeleteObject
		for _, key := range keys[:size] {
			batch = append(batch, oss.DeleteObject{Key: oss.Ptr(key)})
		}
		request := &oss.DeleteMultipleObjectsRequest{Bucket: oss.Ptr(s.bucket), Objects: batch}
		if _, err := s.client.DeleteMultipleObjects(background, request); err != nil {
			return err
		}
		keys = keys[size:]
	}
	return nil
}

func (s *second) deleteBucket() error {
	_, err := s.client.DeleteBucket(background, &oss.DeleteBucketRequest{Bucket: oss.Ptr(s.bucket)})
	return err
}
