//go:build !race

package main

// crowdLimit is how many sessions TestPeersCrowd opens, where there may be two open files for each.
const crowdLimit = 9900
