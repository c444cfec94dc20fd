package auth

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	maxChallenge = 4096 // octets of a challenge that are looked at
	maxDetail    = 512  // octets of one of its values
)

// A Failure is what a server says of a token that it refuses (RFC 7628 section 3.2.2). Only what clients
// know what to do with is kept of it, and only as printable ASCII.
type Failure struct {
	Status  string // an error of OAuth in OAUTHBEARER: "invalid_token"; a status of HTTP in XOAUTH2: "401"
	Schemes string // of XOAUTH2
	Scope   string // that a token should have
	Config  string // URL of the OpenID configuration
}

// ParseFailure reads a challenge of either mechanism, decoded from base64. What it does not understand it
// leaves out.
func ParseFailure(challenge []byte) Failure {
	var values map[string]any
	if len(challenge) > maxChallenge || json.Unmarshal(challenge, &values) != nil {
		return Failure{}
	}
	return Failure{
		Status: detail(values["status"]), Schemes: detail(values["schemes"]),
		Scope: detail(values["scope"]), Config: detail(values["openid-configuration"]),
	}
}

func detail(value any) string {
	switch value.(type) {
	case string, float64:
	default:
		return ""
	}
	text := fmt.Sprint(value)
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if len(text) > maxDetail || strings.ContainsFunc(text, odd) {
		return ""
	}
	return text
}

// Temporary reports whether the server could not judge the token now.
func (f Failure) Temporary() bool {
	return f.Status == "temporarily_unavailable" || f.Status == "server_error" || len(f.Status) == 3 && f.Status[0] == '5'
}

// Challenge returns what a client of a mechanism is told before its authentication fails, not encoded. The
// client answers it, with an empty response in XOAUTH2 and a ^A in OAUTHBEARER, and then gets its NO.
func (f Failure) Challenge(mechanism string) []byte {
	told := struct {
		Status  string `json:"status"`
		Schemes string `json:"schemes,omitempty"`
		Scope   string `json:"scope,omitempty"`
		Config  string `json:"openid-configuration,omitempty"`
	}{f.Status, "", f.Scope, f.Config}
	isNumber := f.Status != "" && strings.Trim(f.Status, "0123456789") == ""
	switch {
	case mechanism == XOAuth2:
		told.Schemes = "bearer"
		if !isNumber {
			told.Status = "401"
		}
	case isNumber || f.Status == "":
		told.Status = "invalid_token"
	}
	text, _ := json.Marshal(told) // strings alone always can be
	return text
}
