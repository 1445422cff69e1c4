package localyun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// Patience is how long a helper waits for what should happen at once.
	Patience = 10 * time.Second
	domain   = "play.example.com"
	app      = "live"
)

// Ready is the line that a server prints when everything listens.
type Ready struct {
	Version string `json:"version"`
	API     string `json:"api"`
	RTMP    string `json:"rtmp"`
	Play    string `json:"play"`
	OSS     string `json:"oss"`
	PID     int    `json:"pid"`
}

// Object is a JSON object.
type Object = map[string]any

// Cloud is a running server, as a test talks to it: the control plane in the words of a test. Nothing here polls: what has not happened yet
// is waited for by GET /_localyun/wait.
type Cloud struct {
	Ready
	// Endpoint is the API's host and port, as SDKs want it.
	Endpoint  string
	KeyID     string
	KeySecret string
	// SecurityToken is that of the key, where it has one.
	SecurityToken string
	t             testing.TB
	token         string
	client        *http.Client
}

// Refused is what the control plane or the API says to a request that it does not take.
type Refused struct {
	Status int
	Told   Object
}

func (r *Refused) Error() string {
	if code, is := r.Told["Code"]; is {
		return fmt.Sprintf("%d: %v: %v", r.Status, code, r.Told["Message"])
	}
	return fmt.Sprintf("%d: %v", r.Status, r.Told["error"])
}

func newCloud(t testing.TB, ready Ready, settings Settings) *Cloud {
	id, secret, securityToken := firstKey(settings["access_keys"])
	return &Cloud{
		Ready: ready, Endpoint: strings.TrimPrefix(ready.API, "http://"), KeyID: id, KeySecret: secret, SecurityToken: securityToken,
		t: t, token: settings["control_token"],
		// A proxy of the environment is not for the machine itself.
		client: &http.Client{Transport: &http.Transport{}, Timeout: 90 * time.Second},
	}
}

// firstKey gives what to sign with: the first key that is not disabled. Where all of them are, it is the first one: the server's refusal says
// why it does not work.
func firstKey(keys string) (id, secret, token string) {
	for _, pair := range strings.Split(keys, ",") {
		parts := append(strings.SplitN(strings.TrimSpace(pair), ":", 3), "", "")
		switch {
		case parts[0] == "":
			// A comma at the end, or no keys at all.
		case parts[2] != "disabled":
			return parts[0], parts[1], parts[2]
		case id == "":
			id, secret = parts[0], parts[1]
		}
	}
	if id == "" {
		return "testid", "testsecret", ""
	}
	return id, secret, ""
}

// Env leads SDKs and tools here, as `localyun env` prints it.
func (c *Cloud) Env() map[string]string {
	variables := map[string]string{
		"ALIBABA_CLOUD_ENDPOINT":          c.Endpoint,
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     c.KeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": c.KeySecret,
		"LOCALYUN_ENDPOINT":               c.API,
		"LOCALYUN_PUSH_URL":               c.RTMP + "/live/STREAM?vhost=DOMAIN",
		"LOCALYUN_PLAY_URL":               c.Play + "/live/STREAM.flv?vhost=DOMAIN",
		"OSS_ENDPOINT":                    c.OSS,
		"OSS_ACCESS_KEY_ID":               c.KeyID,
		"OSS_ACCESS_KEY_SECRET":           c.KeySecret,
		"AWS_ENDPOINT_URL_S3":             c.OSS,
		"AWS_ACCESS_KEY_ID":               c.KeyID,
		"AWS_SECRET_ACCESS_KEY":           c.KeySecret,
		"AWS_REGION":                      "us-east-1",
	}
	if c.SecurityToken != "" {
		for _, name := range []string{"ALIBABA_CLOUD_SECURITY_TOKEN", "OSS_SESSION_TOKEN", "AWS_SESSION_TOKEN"} {
			variables[name] = c.SecurityToken
		}
	}
	return variables
}

// PushURL is where an encoder pushes a stream to.
func (c *Cloud) PushURL(stream string) string {
	return fmt.Sprintf("%s/%s/%s?vhost=%s", c.RTMP, app, stream, domain)
}

// Rule says what is recorded; a field that is empty has its usual value.
type Rule struct {
	Domain, App, Stream, Bucket string
	// Formats: m3u8, mp4, flv, cmaf; mp4 where none is named.
	Formats []string
	// NotifyURL is the domain's callback address.
	NotifyURL string
}

// Record adds a rule.
func (c *Cloud) Record(rule Rule) {
	c.t.Helper()
	if len(rule.Formats) == 0 {
		rule.Formats = []string{"mp4"}
	}
	wanted := map[string]string{
		"DomainName": or(rule.Domain, domain), "AppName": or(rule.App, app), "StreamName": or(rule.Stream, "*"),
		"OssBucket": or(rule.Bucket, "recordings"), "OssEndpoint": "oss-cn-shanghai.aliyuncs.com",
	}
	for at, format := range rule.Formats {
		wanted[fmt.Sprintf("RecordFormat.%d.Format", at+1)] = format
	}
	c.Call("AddLiveAppRecordConfig", wanted)
	if rule.NotifyURL != "" {
		c.Call("AddLiveRecordNotifyConfig", map[string]string{
			"DomainName": or(rule.Domain, domain), "NotifyUrl": rule.NotifyURL, "NeedStatusNotify": "true",
		})
	}
}

// Call is one signed call of the cloud's API, without an SDK.
func (c *Cloud) Call(action string, parameters map[string]string) Object {
	c.t.Helper()
	form := sign(action, parameters, c.KeyID, c.KeySecret, c.SecurityToken)
	request, err := http.NewRequest("POST", c.API+"/", strings.NewReader(form))
	if err != nil {
		c.t.Fatal(err)
	}
	request.Header.Set("content-type", "application/x-www-form-urlencoded")
	told, err := c.exchange(request)
	if err != nil {
		c.t.Fatalf("%s: %v", action, err)
	}
	return told
}

// Push is a push of a clip; a field that is empty has its usual value.
type Push struct {
	Domain, App, Clip, Query string
	// Seconds of media; 10 where none are said.
	Seconds float64
	// Speed: 1 is real time, 0 as fast as it goes.
	Speed float64
	// InBackground returns when the stream is live instead of when it has ended.
	InBackground bool
}

// Publish pushes a clip over RTMP, without a client.
func (c *Cloud) Publish(stream string, push Push) Object {
	c.t.Helper()
	if push.Seconds == 0 {
		push.Seconds = 10
	}
	body := Object{
		"domain": or(push.Domain, domain), "app": or(push.App, app), "stream": stream, "clip": or(push.Clip, "h264_aac"),
		"seconds": push.Seconds, "speed": push.Speed, "wait": !push.InBackground,
	}
	if push.Query != "" {
		body["query"] = push.Query
	}
	return c.Must("POST", "streams", body)
}

// Unpublish ends a stream of the usual domain and application.
func (c *Cloud) Unpublish(stream string) {
	c.t.Helper()
	c.Must("DELETE", "streams/"+domain+"/"+app+"/"+url.PathEscape(stream), nil)
}

// Fault arms a fault: {"at": "object-put", "first": 2, "code": "InternalError"}.
func (c *Cloud) Fault(fault Object) {
	c.t.Helper()
	c.Must("PUT", "faults", fault)
}

// Reset forgets everything, in milliseconds.
func (c *Cloud) Reset() {
	c.t.Helper()
	c.Must("POST", "reset", nil)
}

// Advance moves the service clock. What falls due on the way is done when this returns.
func (c *Cloud) Advance(by time.Duration) Object {
	c.t.Helper()
	return c.Must("POST", "clock/advance", Object{"seconds": by.Seconds()})
}

// Freeze stops the clock, so that only Advance moves it.
func (c *Cloud) Freeze() {
	c.t.Helper()
	c.Must("POST", "clock", Object{"frozen": true})
}

// Explain says which rule records a stream of the usual domain and application and why, or why none does.
func (c *Cloud) Explain(stream string) Object {
	c.t.Helper()
	return c.Must("GET", "explain?"+url.Values{"domain": {domain}, "app": {app}, "stream": {stream}}.Encode(), nil)
}

// Recordings are the recording sessions with their files, the newest first, a thousand at most.
func (c *Cloud) Recordings() []Object { c.t.Helper(); return c.list("recordings") }

// Callbacks come with every attempt, the newest first, a thousand at most.
func (c *Cloud) Callbacks() []Object { c.t.Helper(); return c.list("callbacks") }

// Requests is the journal of API calls, the newest first, a thousand at most.
func (c *Cloud) Requests() []Object { c.t.Helper(); return c.list("requests") }

func (c *Cloud) list(name string) []Object {
	c.t.Helper()
	return objects(c.Must("GET", name+"?limit=1000", nil)[name])
}

// WaitFor gives count events of a kind as soon as they have happened; names choose: {"stream": {"s1"}}.
func (c *Cloud) WaitFor(kind string, count int, names url.Values) []Object {
	c.t.Helper()
	events, err := c.wait(kind, count, "", Patience, names)
	if err != nil {
		c.t.Fatalf("waited %v for %d %s %v: %v", Patience, count, kind, names, err)
	}
	return objects(events["events"])
}

func (c *Cloud) wait(kind string, count int, since string, patience time.Duration, names url.Values) (Object, error) {
	query := url.Values{"kind": {kind}, "count": {strconv.Itoa(count)}, "timeout_s": {fmt.Sprintf("%.3f", max(0, patience.Seconds()))}}
	if since != "" {
		query.Set("since", since)
	}
	for name, values := range names {
		query[name] = values
	}
	return c.Send("GET", "wait?"+query.Encode(), nil)
}

// File is a recorded file that is in the store.
type File struct {
	Format, Bucket, Object string
	Size                   int64
	Duration               time.Duration
	// URL plays without a key.
	URL   string
	cloud *Cloud
}

// Bytes fetches the file.
func (f *File) Bytes() []byte {
	f.cloud.t.Helper()
	answer, err := f.cloud.client.Get(f.URL)
	if err != nil {
		f.cloud.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		f.cloud.t.Fatalf("%s: %s %v", f.URL, answer.Status, err)
	}
	return content
}

// WaitForFile gives the first file of a stream that is in the store; an empty format takes any.
func (c *Cloud) WaitForFile(stream, format string) *File {
	c.t.Helper()
	end, since := time.Now().Add(Patience), ""
	for {
		told, err := c.wait("file", 1, since, time.Until(end), url.Values{"stream": {stream}})
		if err != nil {
			told := c.Explain(stream)
			c.t.Fatalf("waited %v for a file %s of %s: %v; explain: %v %v", Patience, format, stream, err, told["why"], told["cure"])
		}
		event := objects(told["events"])[0]
		since = number(event["id"])
		if format != "" && event["format"] != format {
			continue
		}
		file := &File{cloud: c, Format: text(event["format"]), Bucket: text(event["bucket"]), Object: text(event["object"])}
		file.Size, _ = strconv.ParseInt(number(event["size"]), 10, 64)
		ms, _ := strconv.ParseInt(number(event["duration_ms"]), 10, 64)
		file.Duration = time.Duration(ms) * time.Millisecond
		place := url.Values{"bucket": {file.Bucket}, "key": {file.Object}}
		file.URL = text(c.Must("GET", "signed?"+place.Encode(), nil)["url"])
		return file
	}
}

// Sink is a receiver of callbacks, in the server itself.
type Sink struct {
	// URL is what a notify URL is set to.
	URL   string
	name  string
	cloud *Cloud
}

// Sink gives the receiver of a name.
func (c *Cloud) Sink(name string) *Sink {
	return &Sink{URL: c.API + "/_localyun/sink/" + name, name: name, cloud: c}
}

// Bodies are the JSON bodies of what came, in order.
func (s *Sink) Bodies() []Object {
	s.cloud.t.Helper()
	var bodies []Object
	for _, request := range objects(s.cloud.Must("GET", "sinks/"+s.name+"?limit=1000", nil)["requests"]) {
		if body, is := request["json"].(Object); is {
			bodies = append(bodies, body)
		}
	}
	return bodies
}

// Answer says what it answers from now on.
func (s *Sink) Answer(status int, body any) {
	s.cloud.t.Helper()
	s.cloud.Must("PUT", "sinks/"+s.name, Object{"status": status, "body": body})
}

// Wait gives the bodies of what came, as soon as count of those that have these fields are there.
func (s *Sink) Wait(count int, fields Object) []Object {
	s.cloud.t.Helper()
	end, since := time.Now().Add(Patience), ""
	for {
		var fit []Object
		bodies := s.Bodies()
		for _, body := range bodies {
			if has(body, fields) {
				fit = append(fit, body)
			}
		}
		if len(fit) >= count {
			return fit
		}
		left := time.Until(end)
		if left <= 0 {
			s.cloud.t.Fatalf("waited %v for %d callbacks %v at %s; there is %v", Patience, count, fields, s.name, bodies)
		}
		// A sink is also reached by what tells no event; so it looks once a second at least.
		told, err := s.cloud.wait("callback", 1, since, min(left, time.Second), nil)
		var refused *Refused
		switch {
		case err == nil:
			since = number(told["next"])
		case !errors.As(err, &refused) || refused.Status != http.StatusRequestTimeout:
			s.cloud.t.Fatal(err)
		}
	}
}

func has(body, fields Object) bool {
	for name, value := range fields {
		if fmt.Sprint(body[name]) != fmt.Sprint(value) {
			return false
		}
	}
	return true
}

// Must is Send, and ends the test where it is refused.
func (c *Cloud) Must(method, path string, body any) Object {
	c.t.Helper()
	told, err := c.Send(method, path, body)
	if err != nil {
		c.t.Fatalf("%s /_localyun/%s: %v", method, path, err)
	}
	return told
}

// Send is one request to /_localyun/{path}; numbers of the answer are json.Number.
func (c *Cloud) Send(method, path string, body any) (Object, error) {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequest(method, c.API+"/_localyun/"+path, sent)
	if err != nil {
		return nil, err
	}
	request.Header.Set("content-type", "application/json")
	if c.token != "" {
		request.Header.Set("authorization", "Bearer "+c.token)
	}
	return c.exchange(request)
}

func (c *Cloud) exchange(request *http.Request) (Object, error) {
	answer, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	told := Object{}
	decoder := json.NewDecoder(answer.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&told); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", answer.Status, err)
	}
	if answer.StatusCode >= 400 {
		return told, &Refused{answer.StatusCode, told}
	}
	return told, nil
}

func or(value, usual string) string {
	if value == "" {
		return usual
	}
	return value
}

func objects(value any) []Object {
	list, _ := value.([]any)
	found := make([]Object, 0, len(list))
	for _, one := range list {
		if object, is := one.(Object); is {
			found = append(found, object)
		}
	}
	return found
}

func text(value any) string {
	found, _ := value.(string)
	return found
}

func number(value any) string {
	found, _ := value.(json.Number)
	return found.String()
}
