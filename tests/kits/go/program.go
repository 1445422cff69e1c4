package localyun

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// How long a server may take to be ready, and to end.
const (
	readyWithin = 30 * time.Second
	endsWithin  = 20 * time.Second
)

// Settings are those of `localyun serve`, with underscores: {"auth": "off", "clock_start": "2026-03-01T02:00:00Z"}.
type Settings map[string]string

// Every listener takes a free port, so that any number of servers stand side by side.
var listeners = Settings{
	"api_addr": "127.0.0.1:0", "rtmp_addr": "127.0.0.1:0", "oss_addr": "127.0.0.1:0", "play_addr": "127.0.0.1:0",
}

// Program is the path of the program: LOCALYUN_BIN, else that of PATH.
func Program() (string, error) {
	if named := os.Getenv("LOCALYUN_BIN"); named != "" {
		return named, nil
	}
	found, err := exec.LookPath("localyun")
	if err != nil {
		return "", fmt.Errorf("localyun is not installed: no LOCALYUN_BIN, none on PATH: %w", err)
	}
	return found, nil
}

func environment(settings Settings) []string {
	var kept []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "LOCALYUN_") {
			kept = append(kept, pair)
		}
	}
	for name, value := range settings {
		kept = append(kept, "LOCALYUN_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"="+value)
	}
	return kept
}

// isElsewhere says whether recordings go to another store than the one of the line that tells that everything listens.
func isElsewhere(settings Settings) bool {
	for name := range settings {
		switch strings.ReplaceAll(name, "-", "_") {
		case "oss_endpoint", "oss_public_url":
			return true
		}
	}
	return false
}

// Start starts a server on free ports, with a folder that goes away with the test, and ends it with the test. A test that failed shows the
// server's log.
func Start(t testing.TB, settings ...Settings) *Cloud {
	t.Helper()
	folder := t.TempDir()
	wanted := Settings{"data_dir": filepath.Join(folder, "data")}
	for _, some := range append([]Settings{listeners}, settings...) {
		for name, value := range some {
			wanted[name] = value
		}
	}
	path, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "localyun.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(path, "serve")
	command.Env, command.Stderr = environment(wanted), log
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	line := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		reader := bufio.NewReader(out)
		first, _ := reader.ReadString('\n')
		line <- first
		_, _ = reader.WriteTo(os.Stderr)
		_ = command.Wait()
		close(ended)
	}()
	said := func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text[max(0, len(text)-8000):])
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(endsWithin):
			_ = command.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("localyun said:\n%s", said())
		}
	})
	select {
	case first := <-line:
		var ready Ready
		if json.Unmarshal([]byte(first), &ready) != nil {
			t.Fatalf("localyun did not start:\n%s", said())
		}
		cloud := newCloud(t, ready, wanted)
		if isElsewhere(wanted) {
			// A store that is away is told with a refusal.
			if told, _ := cloud.Send("GET", "health", nil); text(told["oss"]) != "" {
				cloud.OSS = text(told["oss"])
			}
		}
		return cloud
	case <-time.After(readyWithin):
		t.Fatalf("localyun was not ready within %v:\n%s", readyWithin, said())
	}
	return nil
}
