package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/imapgate/imapgate/proxy/wire"
)

// progressEvery is how often a client is told that a long command of ours goes on (RFC 9585 section 4).
const progressEvery = 12 * time.Second

// A progress tells a client that its command is still at work. Its timer runs from the command's start
// to stop.
type progress struct {
	s    *session
	tag  string
	mu   sync.Mutex
	t    *time.Timer
	over bool
	done int
	goal int // 0 where nobody knows
}

// newProgress starts telling where the client was told of INPROGRESS. Nil tells nothing.
func newProgress(s *session, e *entry) *progress {
	if !slices.Contains(s.stack.Caps(), "INPROGRESS") {
		return nil
	}
	p := &progress{s: s, tag: string(e.tag)}
	p.mu.Lock() // for tick, which reads t
	defer p.mu.Unlock()
	p.t = time.AfterFunc(progressEvery, p.tick)
	return p
}

// at notes how much is done.
func (p *progress) at(done, goal int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.goal = done, goal
}

// stop ends it; nothing is told afterwards.
func (p *progress) stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.t.Stop()
}

func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	s := wire.Status{Type: "OK", Code: "INPROGRESS", Args: p.args(), Text: "Still at work"}
	p.s.out.Begin()
	p.s.out.Status([]byte("*"), s)
	if p.s.out.EndFlush() == nil {
		p.t.Reset(progressEvery)
	}
}

// args are a tag and two numbers; a tag with "]" cannot stand in a response code (RFC 9585 section 4).
func (p *progress) args() string {
	tag := `"` + p.tag + `"`
	if strings.Contains(p.tag, "]") {
		tag = "NIL"
	}
	if p.goal == 0 {
		return "(" + tag + " NIL NIL)"
	}
	return fmt.Sprintf("(%s %d %d)", tag, p.done, p.goal)
}
