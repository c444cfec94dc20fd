package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// gauges are figures that a server tells of itself, by name; those that differ in labels only are summed up.
type gauges map[string]float64

// scrape asks a server at an address for its figures. The connection is not kept, so that it is not counted
// among the open files of a quiet server.
func scrape(ctx context.Context, address string) (gauges, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s", response.Status)
	}
	g := make(gauges)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		g.add(lines.Text())
	}
	return g, lines.Err()
}

// add reads one line: name{labels} value.
func (g gauges) add(line string) {
	if strings.HasPrefix(line, "#") {
		return
	}
	at := strings.LastIndexByte(line, ' ')
	if at < 0 {
		return
	}
	name, _, _ := strings.Cut(line[:at], "{")
	if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
		g[name] += v
	}
}
