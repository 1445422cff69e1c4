package main

import (
	"reflect"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/live"
)

// create makes the request of an action by the SDK's own constructor, which sets the action's name and method.
func create(action string) reflect.Value {
	maker, known := makers[action]
	if !known {
		return reflect.Value{}
	}
	return reflect.ValueOf(maker).Call(nil)[0]
}

// makers names the constructors of the story's actions: Go has no way to find a function by its name at run time.
var makers = map[string]any{
	"AddLiveAppRecordConfig":             live.CreateAddLiveAppRecordConfigRequest,
	"UpdateLiveAppRecordConfig":          live.CreateUpdateLiveAppRecordConfigRequest,
	"DeleteLiveAppRecordConfig":          live.CreateDeleteLiveAppRecordConfigRequest,
	"DescribeLiveRecordConfig":           live.CreateDescribeLiveRecordConfigRequest,
	"AddLiveRecordNotifyConfig":          live.CreateAddLiveRecordNotifyConfigRequest,
	"UpdateLiveRecordNotifyConfig":       live.CreateUpdateLiveRecordNotifyConfigRequest,
	"DeleteLiveRecordNotifyConfig":       live.CreateDeleteLiveRecordNotifyConfigRequest,
	"DescribeLiveRecordNotifyConfig":     live.CreateDescribeLiveRecordNotifyConfigRequest,
	"DescribeLiveRecordNotifyRecords":    live.CreateDescribeLiveRecordNotifyRecordsRequest,
	"DescribeLiveStreamRecordContent":    live.CreateDescribeLiveStreamRecordContentRequest,
	"CreateLiveStreamRecordIndexFiles":   live.CreateCreateLiveStreamRecordIndexFilesRequest,
	"DescribeLiveStreamRecordIndexFile":  live.CreateDescribeLiveStreamRecordIndexFileRequest,
	"DescribeLiveStreamRecordIndexFiles": live.CreateDescribeLiveStreamRecordIndexFilesRequest,
	"DeleteLiveStreamRecordIndexFiles":   live.CreateDeleteLiveStreamRecordIndexFilesRequest,
	"RealTimeRecordCommand":              live.CreateRealTimeRecordCommandRequest,
	"DescribeLiveSnapshotConfig":         live.CreateDescribeLiveSnapshotConfigRequest,
}
