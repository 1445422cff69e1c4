// The current Go SDK (live-20161101) as a speaker: a request a line in, an answer a line out (see ../../speaker.py).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"reflect"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	live "github.com/alibabacloud-go/live-20161101/v2/client"
	"github.com/alibabacloud-go/tea/tea"
)

type asked struct {
	Action, Key, Secret string
	Params              json.RawMessage
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var request asked
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			panic(err)
		}
		if err := answers.Encode(answer(request)); err != nil {
			panic(err)
		}
	}
}

var errLacks = errors.New("the SDK has no such action")

func answer(request asked) map[string]any {
	body, err := call(request)
	var refused *tea.SDKError
	switch {
	case errors.Is(err, errLacks):
		return map[string]any{"lacks": true}
	case errors.As(err, &refused):
		return map[string]any{"code": tea.StringValue(refused.Code), "status": tea.IntValue(refused.StatusCode), "message": tea.StringValue(refused.Message)}
	case err != nil:
		return map[string]any{"broken": err.Error()}
	}
	return map[string]any{"body": body}
}

func call(request asked) (any, error) {
	client, err := live.NewClient(&openapi.Config{
		AccessKeyId:     &request.Key,
		AccessKeySecret: &request.Secret,
		Endpoint:        tea.String(os.Getenv("ALIBABA_CLOUD_ENDPOINT")),
		Protocol:        tea.String("http"),
	})
	if err != nil {
		return nil, err
	}
	method := reflect.ValueOf(client).MethodByName(request.Action)
	if !method.IsValid() {
		return nil, errLacks
	}
	// The models' JSON names are those of the API.
	made := reflect.New(method.Type().In(0).Elem())
	if err := json.Unmarshal(request.Params, made.Interface()); err != nil {
		return nil, err
	}
	results := method.Call([]reflect.Value{made})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	return results[0].Elem().FieldByName("Body").Interface(), nil
}
