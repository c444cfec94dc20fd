package proxy

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// busyOnly skips a test that goes by the ordinary time to park.
func busyOnly(t *testing.T) {
	if defaultPark == time.Nanosecond {
		t.Skip("readers give up their goroutine at every boundary")
	}
}

// awakeOnly has the readers of a test never give up their goroutine, which costs a few allocations each time.
func awakeOnly(t *testing.T) {
	busyOnly(t)
	before := defaultPark
	defaultPark = -1
	t.Cleanup(func() { defaultPark = before })
}

// TestMain fails the package where a goroutine outlives the tests: every one has an owner that waits for it.
// With IMAPGATE_TEST_PARK=always the readers of all sessions give up their goroutine at every boundary; with
// IMAPGATE_TEST_SPLICE=always every octet of a literal that was not read ahead passes by a pipe.
func TestMain(m *testing.M) {
	if os.Getenv("IMAPGATE_TEST_PARK") == "always" {
		defaultPark = time.Nanosecond
	}
	if os.Getenv("IMAPGATE_TEST_SPLICE") == "always" {
		moveFrom = 1
	}
	goleak.VerifyTestMain(m)
}
