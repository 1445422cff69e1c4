// Package localyun gives a test a cloud of its own: Alibaba Cloud ApsaraVideo Live on this machine, what it recorded, what it told, and its
// clock.
//
//	func TestPush(t *testing.T) {
//		cloud := localyun.Start(t)
//		cloud.Record(localyun.Rule{})
//		cloud.Publish("s1", localyun.Push{Seconds: 10})
//		cloud.Advance(181 * time.Second)
//		file := cloud.WaitForFile("s1", "mp4")
//	}
//
// Every test has a server of its own, so that tests run in parallel. Whatever fails in a helper ends the test with what the server said.
package localyun
