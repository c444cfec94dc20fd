package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ticksPerSecond is the unit of times in /proc/PID/stat, the same on every Linux (USER_HZ).
const ticksPerSecond = 100

// processes are those of one server: the ones that were started, which stand here, and all that these
// have started. What they use is read from /proc, which only Linux has.
type processes []int

// A meter reads what a server uses.
type meter interface {
	cpu() (float64, error)  // seconds of processor time so far
	memory() (int64, error) // octets
	files() (int64, error)  // that are open
}

// A stat is what is used of /proc/PID/stat.
type stat struct {
	parent int
	own    int64 // ticks in user and system mode
	reaped int64 // the same of its children that have ended and were waited for
}

// cpu is the processor time in seconds that the processes have used so far, those that have ended
// included.
func (p processes) cpu() (float64, error) {
	all, err := p.stats()
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, s := range all {
		ticks += s.own + s.reaped
	}
	return float64(ticks) / ticksPerSecond, nil
}

// ownCPU is the processor time of this process without its children.
func ownCPU() (float64, error) {
	s, err := readStat(os.Getpid())
	return float64(s.own) / ticksPerSecond, err
}

// memory is the memory in octets that the processes have: what they share is divided by those that
// share it (PSS), so that the sum over all is what they take from the machine.
func (p processes) memory() (int64, error) {
	all, err := p.stats()
	if err != nil {
		return 0, err
	}
	var sum int64
	for pid := range all {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just ended
		}
		if err != nil {
			return 0, fmt.Errorf("read the memory of a process: %w", err)
		}
		pss, err := rollup(b, "Pss:")
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += pss
	}
	return sum, nil
}

// files is how many files the processes have open, sockets above all.
func (p processes) files() (int64, error) {
	all, err := p.stats()
	if err != nil {
		return 0, err
	}
	var sum int64
	for pid := range all {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just ended
		}
		if err != nil {
			return 0, fmt.Errorf("read the open files of a process: %w", err)
		}
		sum += int64(len(open))
	}
	return sum, nil
}

// direct is what there is without a proxy: the processor time is that of the backend and the load generator
// together, and nobody stands between them.
type direct struct{ backend processes }

func (d direct) cpu() (float64, error) {
	behind, err := d.backend.cpu()
	if err != nil {
		return 0, err
	}
	own, err := ownCPU()
	return behind + own, err
}

func (direct) memory() (int64, error) { return 0, nil }
func (direct) files() (int64, error)  { return 0, nil }

// stats are those of the processes and all below them, by process id.
func (p processes) stats() (map[int]stat, error) {
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	running := make(map[int]stat, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // else it has just ended
			running[pid] = s
		}
	}
	return p.below(running)
}

// below picks from all processes that run those that belong to p.
func (p processes) below(running map[int]stat) (map[int]stat, error) {
	children := make(map[int][]int)
	for pid, s := range running {
		children[s.parent] = append(children[s.parent], pid)
	}
	found := make(map[int]stat)
	queue := append([]int(nil), p...)
	for _, pid := range p {
		if _, ok := running[pid]; !ok {
			return nil, fmt.Errorf("process %d does not run", pid)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		pid := queue[0]
		if _, twice := found[pid]; !twice {
			found[pid] = running[pid]
			queue = append(queue, children[pid]...)
		}
	}
	return found, nil
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// The fields of /proc/PID/stat behind the name (see proc(5)).
const (
	statParent = 1  // field 4
	statUser   = 11 // field 14: then system, and both of the children that were waited for
	statFields = 15
)

var errStat = errors.New("no line of /proc/PID/stat")

// parseStat reads the line. The name stands in parentheses and may have spaces and parentheses itself.
func parseStat(b []byte) (stat, error) {
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	if end < 0 || len(fields) < statFields {
		return stat{}, errStat
	}
	parent, err := strconv.Atoi(fields[statParent])
	if err != nil {
		return stat{}, errStat
	}
	var times [4]int64
	for i := range times {
		if times[i], err = strconv.ParseInt(fields[statUser+i], 10, 64); err != nil {
			return stat{}, errStat
		}
	}
	return stat{parent: parent, own: times[0] + times[1], reaped: times[2] + times[3]}, nil
}

// rollup reads a line of smaps_rollup, as "Pss:   1234 kB".
func rollup(b []byte, name string) (int64, error) {
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == name && f[2] == "kB" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("smaps_rollup: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("smaps_rollup has no line %s", name)
}
