// Package tlsutil makes the TLS configurations of both sides: what clients see at a listener, and how
// a backend's certificate is verified.
//
// It reads PEM files, keeps nothing and starts nothing. Certificates are read once; whoever wants new
// ones makes a new configuration.
package tlsutil
