//go:build race

package main

// crowdLimit is how many sessions TestPeersCrowd opens: its clients are slow under the race detector.
const crowdLimit = 1000
