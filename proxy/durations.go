package proxy

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// durations is a histogram, classic and native, that takes many equal durations at once: commands
// which came together and were answered together took the same time, and to count each of them by itself cost more
// than to parse it. It never grows: its native buckets are those of schema 2, each 2^(1/4) times as wide as the one
// before, from nanoseconds to days.
type durations struct {
	labels  []*dto.LabelPair
	desc    *prometheus.Desc
	sum     atomic.Uint64 // bits of the seconds
	zero    atomic.Uint64
	native  [nativeLast - nativeFirst + 1]atomic.Uint64 // at 0: up to 2^(nativeFirst/4) seconds
	classic [len(durationBounds)]atomic.Uint64          // not cumulated
}

// durationBounds are the upper bounds of the classic buckets of all histograms, in seconds.
var durationBounds = [...]float64{.001, .01, .1, 1, 10, 60}

const (
	nativeSchema = 2
	nativeFirst  = -30 << nativeSchema
	nativeLast   = 20 << nativeSchema // 12 days; what is longer counts there

	// zeroThreshold is that of [prometheus.DefNativeHistogramZeroThreshold].
	zeroThreshold = prometheus.DefNativeHistogramZeroThreshold
)

// nativeSteps part the octave from 1/2 to 1.
var nativeSteps = [...]float64{0.5, 0.5946035575013605, 0.7071067811865475, 0.8408964152537144}

// observe counts n durations of d.
func (h *durations) observe(d time.Duration, n uint64) {
	v := max(d.Seconds(), 0)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v*float64(n))) {
			break
		}
	}
	if v == 0 {
		h.zero.Add(n)
	} else {
		h.native[nativeIndex(v)].Add(n)
	}
	for i, bound := range durationBounds {
		if v <= bound {
			h.classic[i].Add(n) // behind the native one: Write reads in the other order
			return
		}
	}
}

func nativeIndex(v float64) int {
	frac, exp := math.Frexp(v)
	key := (exp - 1) << nativeSchema
	for _, step := range nativeSteps {
		if frac > step {
			key++
		}
	}
	return min(max(key, nativeFirst), nativeLast) - nativeFirst
}

// Desc implements [prometheus.Metric].
func (h *durations) Desc() *prometheus.Desc { return h.desc }

// Write implements [prometheus.Metric]. What is observed meanwhile may be missing in some of it, but no classic
// bucket ever has more than the whole, and the native ones always have exactly that.
func (h *durations) Write(m *dto.Metric) error {
	his := &dto.Histogram{Schema: new(int32(nativeSchema)), ZeroThreshold: new(float64(zeroThreshold))}
	var below uint64
	for i, bound := range durationBounds {
		below += h.classic[i].Load()
		his.Bucket = append(his.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(below)})
	}
	zero := h.zero.Load()
	count := zero
	var spans spans
	for i := range h.native {
		if n := h.native[i].Load(); n > 0 {
			spans.add(nativeFirst+i, int64(n))
			count += n
		}
	}
	his.ZeroCount, his.PositiveSpan, his.PositiveDelta = &zero, spans.all, spans.deltas
	his.SampleCount, his.SampleSum = &count, new(math.Float64frombits(h.sum.Load()))
	m.Label, m.Histogram = h.labels, his
	return nil
}

// spans are native buckets as they are exposed: runs of keys, and the difference of each bucket to the one before.
type spans struct {
	all    []*dto.BucketSpan
	deltas []int64
	last   int64 // count of the bucket before
	next   int   // key behind it
}

// add adds a bucket with a greater key. A gap of two is cheaper to expose as empty buckets than as another span.
func (s *spans) add(key int, n int64) {
	gap := key - s.next
	if len(s.all) == 0 || gap > 2 {
		s.all = append(s.all, &dto.BucketSpan{Offset: new(int32(gap)), Length: new(uint32(0))})
		gap = 0
	}
	for range gap {
		s.append(0)
	}
	s.append(n)
	s.next = key + 1
}

func (s *spans) append(n int64) {
	*s.all[len(s.all)-1].Length++
	s.deltas = append(s.deltas, n-s.last)
	s.last = n
}

// commandTimes is the metric command_duration_seconds: durations by command and backend.
type commandTimes struct {
	desc *prometheus.Desc
	mu   sync.Mutex
	all  []*durations
}

func newCommandTimes(name, help string) *commandTimes {
	return &commandTimes{desc: prometheus.NewDesc(name, help, []string{"command", "backend"}, nil)}
}

// with returns the durations of a command at a backend. It is called once for each, and again only by whoever
// comes at the same time.
func (c *commandTimes) with(command, backend string) *durations {
	c.mu.Lock()
	defer c.mu.Unlock()
	labels := prometheus.MakeLabelPairs(c.desc, []string{command, backend})
	same := func(a, b *dto.LabelPair) bool { return a.GetValue() == b.GetValue() }
	for _, h := range c.all {
		if slices.EqualFunc(h.labels, labels, same) {
			return h
		}
	}
	h := &durations{labels: labels, desc: c.desc}
	c.all = append(c.all, h)
	return h
}

// Describe implements [prometheus.Collector].
func (c *commandTimes) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect implements [prometheus.Collector].
func (c *commandTimes) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.all {
		to <- h
	}
}
