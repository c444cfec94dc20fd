// Package tlsutil makes the TLS configurations of both sides: what clients see at a listener, and how
// a backend's certificate is verified.
//
// It reads PEM files. A [Server] takes certificates as they are; a [Reloader] keeps them as new as their
// files, while [Reloader.Watch] runs, which is the only thing here that takes time. Roots are read once;
// whoever wants new ones makes a new configuration.
//
// # Old backends
//
// What a [Client] asks for by MinVersion and OldCiphers is in crypto/tls of Go 1.26 and needs no GODEBUG
// setting: tls10server is about servers, and tlsrsakex and tls3des change only the list that counts where
// none is given. Beyond that, a server that signs its TLS 1.2 key exchange with SHA-1 needs
// GODEBUG=tlssha1=1 (RSA key exchange signs nothing and does not), an RSA key under 1024 bits needs
// GODEBUG=rsa1024min=0, and a certificate that is signed with SHA-1 or names its host only in the common
// name cannot be verified at all: pin its key. SSL 3, DHE key exchange and export ciphers are gone.
package tlsutil
