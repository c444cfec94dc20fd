package proxy

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package where a goroutine outlives the tests: every one has an owner that waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
