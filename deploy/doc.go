// Package deploy has no code: its tests hold the files that run imapgate to what imapgate says of itself.
package deploy
