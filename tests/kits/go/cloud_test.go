package localyun

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestEachTestHasAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	for number := 0; number < 4; number++ {
		number := number
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			cloud := Start(t)
			sink := cloud.Sink("callbacks")
			cloud.Record(Rule{NotifyURL: sink.URL})
			cloud.Publish("s1", Push{Seconds: 5})
			cloud.Advance(181 * time.Second)
			file := cloud.WaitForFile("s1", "mp4")
			if content := file.Bytes(); int64(len(content)) != file.Size || string(content[4:8]) != "ftyp" {
				t.Errorf("%d bytes, told %d", len(content), file.Size)
			}
			if told := sink.Wait(3, nil); len(cloud.Recordings()) != 1 || len(told) != 3 {
				t.Errorf("%v", told)
			}
			cloud.Reset()
			if len(cloud.Recordings()) != 0 || len(sink.Bodies()) != 0 {
				t.Error("something outlived the reset")
			}
		})
	}
}

// A test that is told to fail notes it instead.
type noted struct {
	testing.TB
	said string
}

func (n *noted) Fatalf(format string, arguments ...any) {
	n.said = fmt.Sprintf(format, arguments...)
	panic(n)
}

func (n *noted) Helper() {}

func TestAFileThatCannotComeIsToldWithTheReason(t *testing.T) {
	t.Parallel()
	cloud := Start(t)
	listener := &noted{TB: t}
	cloud.t = listener
	defer func() {
		if recover() == nil || !strings.Contains(listener.said, "AddLiveAppRecordConfig") {
			t.Errorf("said %q", listener.said)
		}
	}()
	cloud.WaitForFile("s1", "mp4")
}

func TestSettingsAndTokensAreUsed(t *testing.T) {
	t.Parallel()
	cloud := Start(t, Settings{"clock_start": "2026-03-01T02:00:00Z", "control_token": "t0ken", "access_keys": "a1:s1"})
	if now := text(cloud.Must("GET", "clock", nil)["now"]); !strings.HasPrefix(now, "2026-03-01T02:00") {
		t.Error(now)
	}
	cloud.Record(Rule{Formats: []string{"m3u8", "mp4"}})
	sink := cloud.Sink("mine")
	sink.Answer(503, "")
	answer, err := http.Post(sink.URL, "application/json", strings.NewReader(`{"a": 1}`))
	if err != nil || answer.StatusCode != 503 {
		t.Fatal(err, answer)
	}
	answer.Body.Close()
	sink.Wait(1, Object{"a": 1})
}

func TestTheFirstKeyThatIsNotDisabledSigns(t *testing.T) {
	t.Parallel()
	for keys, used := range map[string][3]string{
		"a1:s1:t1":               {"a1", "s1", "t1"},
		"a1:s1:t1:2,b:c":         {"a1", "s1", "t1:2"},
		"old:x:disabled, new:y,": {"new", "y", ""},
		"":                       {"testid", "testsecret", ""},
	} {
		keys, used := keys, used
		t.Run(keys, func(t *testing.T) {
			t.Parallel()
			cloud := Start(t, Settings{"access_keys": keys})
			if own := [3]string{cloud.KeyID, cloud.KeySecret, cloud.SecurityToken}; own != used {
				t.Error(own)
			}
			cloud.Record(Rule{})
		})
	}
	if id, secret, token := firstKey("old:x:disabled,older:y:disabled"); id != "old" || secret != "x" || token != "" {
		t.Error(id, secret, token)
	}
}

func TestAnotherStoreIsToldAsItIsReached(t *testing.T) {
	t.Parallel()
	cloud := Start(t, Settings{"oss_public_url": "http://store.example.com:9000"})
	if store := cloud.Env()["OSS_ENDPOINT"]; store != "http://store.example.com:9000" {
		t.Error(store)
	}
}

func TestAListOfTenIsSigned(t *testing.T) {
	t.Parallel()
	cloud := Start(t)
	wanted := map[string]string{"ResourceType": "DOMAIN", "Tag.1.Key": "env"}
	for number := 1; number <= 10; number++ {
		wanted[fmt.Sprintf("ResourceId.%d", number)] = fmt.Sprintf("d%d.example.com", number)
	}
	cloud.Call("TagLiveResources", wanted)
	told := cloud.Call("ListLiveTagResources", map[string]string{"ResourceType": "DOMAIN"})
	if rows := fmt.Sprint(told["TagResources"]); strings.Count(rows, "example.com") != 10 {
		t.Error(rows)
	}
}

func TestVariablesAreThoseOfLocalyunEnv(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"testid:testsecret", "a1:s1:t1"} {
		variablesAreThoseOfLocalyunEnv(t, keys)
	}
}

func variablesAreThoseOfLocalyunEnv(t *testing.T, keys string) {
	t.Helper()
	cloud := Start(t, Settings{"access_keys": keys})
	program, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "env", "--shell", "bash", "--endpoint", cloud.API)
	command.Env = append(os.Environ(), "LOCALYUN_ACCESS_KEYS="+keys)
	printed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, line := range strings.Split(string(printed), "\n") {
		if name, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "="); found && strings.HasPrefix(line, "export ") {
			told[name] = strings.Trim(value, "'")
		}
	}
	if own := cloud.Env(); !maps.Equal(own, told) {
		t.Errorf("%v\n%v", own, told)
	}
}
