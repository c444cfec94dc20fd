// Package config reads the configuration file and turns it into the values that the proxy runs with.
//
// The file is YAML and read strictly: defaults first, then what is written; a key that nobody knows is an
// error. Every mistake is reported at once, each as
//
//	file:line: key.path: what is wrong; what to do
//
// [Load] reads everything that the configuration names (certificates, authorities) and builds everything
// that can fail (TLS configurations, the routing table); it opens no port and asks no network. A [Config] is
// therefore known to be sound.
//
// To add a key: a field with its yaml tag in file.go (the tag "choices" for a fixed set of words), its
// default beside it, its check in check.go, a testdata/invalid-*.yaml for each mistake, and a line in
// config.example.yaml; a test fails when that line is missing. Its row in later.go, if any, goes.
package config
