module github.com/localyun/localyun/tests/kits/go

go 1.21
