package proxy

import (
	"testing"
	"time"
)

// BenchmarkWake has a client say NOOP to a session that is awake, and to one both of whose readers are
// parked. What parking and going on cost is the difference.
func BenchmarkWake(b *testing.B) {
	for _, state := range []struct {
		name string
		park time.Duration
	}{{"awake", time.Hour}, {"parked", time.Nanosecond}} {
		for _, security := range []TLSMode{NoTLS, ImplicitTLS} {
			b.Run(state.name+"/tls="+string(security), func(b *testing.B) {
				defer func(d time.Duration) { defaultPark = d }(defaultPark)
				defaultPark = state.park
				wake(b, security)
			})
		}
	}
}

// wake asks once in a while: a reader that was woken waits for a millisecond before it parks again.
func wake(b *testing.B, security TLSMode) {
	noop := talk{request: []byte("a NOOP\r\n"), answer: []byte(answerOK)}
	nc := road(b, nil, "imapgate", security)
	noop.check(b, nc)
	hear := make([]byte, 1<<10)
	b.ReportAllocs()
	before := processTime(b)
	for b.Loop() {
		<-time.After(2 * resumeTime)
		if err := hearAll(noop.ask(nc), hear, len(noop.answer)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(processTime(b)-before)/float64(b.N), "cpu-ns/op")
}
