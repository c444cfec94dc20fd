package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A marker is a backend that tells everybody the last mark that it has heard from him.
type marker struct {
	t     *testing.T
	conns sync.WaitGroup
}

// start serves until the test's end.
func (k *marker) start(ln net.Listener) {
	k.conns.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			k.conns.Go(func() {
				defer nc.Close()
				if err := k.serve(nc); err != nil {
					k.t.Error(err)
				}
			})
		}
	})
	k.t.Cleanup(func() { ln.Close(); k.conns.Wait() })
}

// serve is nil where the connection ends.
func (k *marker) serve(nc net.Conn) error {
	const caps = "[CAPABILITY IMAP4rev1 LITERAL+ IDLE UNSELECT] "
	in, out := bufio.NewReader(nc), bufio.NewWriterSize(nc, 1+rand.IntN(20_000))
	fmt.Fprintf(out, "* OK %shello\r\n", caps)
	user, mark := "", ""
	for {
		if in.Buffered() == 0 || rand.IntN(4) == 0 {
			out.Flush()
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return nil
		}
		words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
		if len(words) < 2 || mark == "" && words[1] == "FETCH" {
			return fmt.Errorf("%s said %q", user, line)
		}
		tag, code := words[0], ""
		switch words[1] {
		case "LOGIN":
			user, code = words[2], caps
		case "LIST":
			mark = words[len(words)-1]
			fmt.Fprintf(out, "* LIST () NIL %s\r\n", mark)
		case "FETCH":
			n, _ := strconv.Atoi(words[2])
			fmt.Fprintf(out, "* %d FETCH (BODY[] {%d}\r\n%s)\r\n", n, n, strings.Repeat(mark, n/len(mark)+1)[:n])
		case "APPEND":
			mark = words[2]
			var n int
			fmt.Sscanf(words[3], "{%d", &n)
			if !strings.HasSuffix(words[3], "+}") {
				out.WriteString("+ go on\r\n")
				out.Flush()
			}
			octets := make([]byte, n+2)
			if _, err := io.ReadFull(in, octets); err != nil {
				return nil
			}
			if err := pure(string(octets[:n]), mark); err != nil {
				return fmt.Errorf("%s stores what is not his: %w", user, err)
			}
		case "IDLE":
			out.WriteString("+ idling\r\n")
			out.Flush()
			if line, err := k.idle(in, out, mark); err != nil {
				return nil
			} else if line != "DONE\r\n" {
				return fmt.Errorf("%s said %q in IDLE", user, line)
			}
		case "NOOP", "LOGOUT", "UNSELECT", "CAPABILITY":
		default:
			return fmt.Errorf("%s said %q", user, line)
		}
		if mark != "" && !strings.HasPrefix(mark, user+"-") {
			return fmt.Errorf("%s said %q", user, line)
		}
		fmt.Fprintf(out, "%s OK %s%s\r\n", tag, code, mark)
		if words[1] == "LOGOUT" {
			out.Flush()
			return nil
		}
	}
}

// idle has news at any time, until somebody says something.
func (k *marker) idle(in *bufio.Reader, out *bufio.Writer, mark string) (string, error) {
	done, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		for mark != "" {
			select {
			case <-done:
				return
			case <-time.After(rand.N(3 * time.Millisecond)):
				fmt.Fprintf(out, "* OK %s\r\n", mark)
				out.Flush()
			}
		}
	}()
	line, err := in.ReadString('\n')
	close(done)
	<-told
	return line, err
}
