// The core of the current Go SDK (darabonba-openapi) as a speaker: a request a line in, an answer a line out (see
// ../../speaker.py). It calls any action by its name; lists are flattened by openapi-util, as generated clients do it.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapiutil "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
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
	var refused *tea.SDKError
	switch {
	case errors.As(err, &refused):
		return map[string]any{"code": tea.StringValue(refused.Code), "status": tea.IntValue(refused.StatusCode), "message": tea.StringValue(refused.Message)}
	case err != nil:
		return map[string]any{"broken": err.Error()}
	}
	return map[string]any{"body": body}
}

func call(request asked) (any, error) {
	client, err := openapi.NewClient(&openapi.Config{
		AccessKeyId:     &request.Key,
		AccessKeySecret: &request.Secret,
		Endpoint:        tea.String(os.Getenv("ALIBABA_CLOUD_ENDPOINT")),
		Protocol:        tea.String("http"),
	})
	if err != nil {
		return nil, err
	}
	way := &openapi.Params{
		Action: &request.Action, Version: tea.String("2016-11-01"),
		Style: tea.String("RPC"), Protocol: tea.String("HTTP"), Method: tea.String("POST"), Pathname: tea.String("/"),
		AuthType: tea.String("AK"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}
	answer, err := client.CallApi(way, &openapi.OpenApiRequest{Query: openapiutil.Query(request.Params)}, &dara.RuntimeOptions{})
	if err != nil {
		return nil, err
	}
	return answer["body"], nil
}
