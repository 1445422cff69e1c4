// The older Go SDK (alibaba-cloud-sdk-go) as a speaker: a request a line in, an answer a line out (see ../../speaker.py).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/live"
)

type asked struct {
	Action, Key, Secret string
	Params              map[string]any
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

func answer(request asked) map[string]any {
	body, err := call(request)
	var refused sdkerrors.Error
	switch {
	case errors.Is(err, errLacks):
		return map[string]any{"lacks": true}
	case errors.As(err, &refused) && refused.HttpStatus() != 0:
		return map[string]any{"code": refused.ErrorCode(), "status": refused.HttpStatus(), "message": refused.Message()}
	case err != nil:
		return map[string]any{"broken": err.Error()}
	}
	return map[string]any{"body": body}
}

var errLacks = errors.New("the SDK has no such action")

func call(request asked) (any, error) {
	client, err := live.NewClientWithAccessKey("cn-shanghai", request.Key, request.Secret)
	if err != nil {
		return nil, err
	}
	method := reflect.ValueOf(client).MethodByName(request.Action)
	if !method.IsValid() {
		return nil, errLacks
	}
	made := create(request.Action)
	if !made.IsValid() {
		return nil, errLacks
	}
	made.Elem().FieldByName("Scheme").SetString("http")
	made.Elem().FieldByName("Domain").SetString(os.Getenv("ALIBABA_CLOUD_ENDPOINT"))
	for name, value := range request.Params {
		if err := fill(made.Elem().FieldByName(name), value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	results := method.Call([]reflect.Value{made})
	if err, failed := results[1].Interface().(error); failed {
		return nil, err
	}
	return results[0].Interface(), nil
}

// fill sets a field of a request: requests.Integer and requests.Boolean are texts, lists are pointers to slices.
func fill(field reflect.Value, value any) error {
	switch value := value.(type) {
	case []any:
		list := reflect.MakeSlice(field.Type().Elem(), len(value), len(value))
		for at, item := range value {
			if err := fill(list.Index(at), item); err != nil {
				return err
			}
		}
		field.Set(reflect.New(list.Type()))
		field.Elem().Set(list)
	case map[string]any:
		for name, inner := range value {
			if err := fill(field.FieldByName(name), inner); err != nil {
				return err
			}
		}
	default:
		if !field.IsValid() || field.Kind() != reflect.String {
			return errors.New("the request has no such text field")
		}
		field.SetString(fmt.Sprint(value))
	}
	return nil
}
