package proxy

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestDurationsAreAHistogram compares with the histogram that prometheus has, which takes one duration at a time.
func TestDurationsAreAHistogram(t *testing.T) {
	theirs := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "x", Help: "x", Buckets: durationBounds[:], NativeHistogramBucketFactor: 1.2,
	}, []string{"command", "backend"})
	ours := newCommandTimes("x", "x")
	h := ours.with("NOOP", "one")
	if ours.with("NOOP", "two") == h || ours.with("NOOP", "one") != h {
		t.Error("the labels do not tell histograms apart")
	}
	observe := func(d time.Duration, n int) {
		h.observe(d, uint64(n))
		for range n {
			theirs.WithLabelValues("NOOP", "one").Observe(d.Seconds())
		}
	}
	for _, d := range []time.Duration{0, 1, 2, time.Millisecond, 10 * time.Millisecond, time.Second, time.Minute, 61 * time.Second, 200 * time.Hour} {
		observe(d, 3)
	}
	for range 3000 {
		observe(time.Duration(1)<<rand.IntN(45), 1+rand.IntN(4)) // powers of two are bounds
		observe(rand.N(time.Duration(1)<<(1+rand.IntN(45))), 1+rand.IntN(4))
	}
	want, got := &dto.Metric{}, &dto.Metric{}
	theirs.WithLabelValues("NOOP", "one").(prometheus.Metric).Write(want)
	if err := h.Write(got); err != nil {
		t.Fatal(err)
	}
	if d := want.Histogram.GetSampleSum() - got.Histogram.GetSampleSum(); d > 1 || d < -1 {
		t.Errorf("the sums differ by %v", d)
	}
	want.Histogram.SampleSum, got.Histogram.SampleSum, want.Histogram.CreatedTimestamp = nil, nil, nil
	if want.String() != got.String() || !reflect.DeepEqual(want.Histogram.GetPositiveDelta(), got.Histogram.GetPositiveDelta()) {
		t.Errorf("want %v\ngot  %v", want, got)
	}
}

// TestDurationsBeyondAll pins that nothing is outside the native buckets.
func TestDurationsBeyondAll(t *testing.T) {
	var h durations
	h.observe(1<<63-1, 1)
	h.observe(-5, 1)
	var m dto.Metric
	h.Write(&m)
	if got := m.Histogram; got.GetSampleCount() != 2 || got.GetZeroCount() != 1 || len(got.PositiveDelta) != 1 {
		t.Errorf("got %v", got)
	}
}
