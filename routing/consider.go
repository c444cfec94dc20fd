package routing

import "fmt"

// A Step is one route that was looked at for a login.
type Step struct {
	Route   string // name
	Matched bool   // this route decides; it is the last step
	Reason  string // in words: what was met, or the first thing that was not
}

// Consider returns the routes that Explain looks at for a request, in their order, up to the one that
// decides; all of them where none does.
func (t *Table) Consider(req Request) (steps []Step) {
	req.User = t.Normalise(req.User)
	for i := range t.routes {
		r := &t.routes[i]
		if r.met(req) {
			return append(steps, Step{r.name, true, r.reason})
		}
		steps = append(steps, Step{r.name, false, r.unmet(req)})
	}
	return steps
}

// unmet says in words the first condition that a request does not meet, in the order of met.
func (c *conditions) unmet(req Request) string {
	switch {
	case c.Match.Listener != "" && req.Listener == "":
		return fmt.Sprintf("the listener is not known, and the route is for %q", c.Match.Listener)
	case c.Match.Listener != "" && c.Match.Listener != req.Listener:
		return fmt.Sprintf("the listener %q is not %q", req.Listener, c.Match.Listener)
	case c.user != "" && !c.user.Match(req.User):
		return fmt.Sprintf("the user %q does not match %q", req.User, string(c.user))
	case c.sni != "" && !c.sni.Match(Normalise(req.SNI)):
		return fmt.Sprintf("the server name %q does not match %q", req.SNI, string(c.sni))
	case len(c.Networks) > 0 && !req.Client.IsValid():
		return fmt.Sprintf("the client's address is not known, and the route is for %v", c.Networks)
	case len(c.Networks) > 0 && !within(c.Networks, req.Client):
		return fmt.Sprintf("the client %v is not in %v", req.Client, c.Networks)
	}
	return fmt.Sprintf("the user %q is not in %s", req.User, setName(c.Users))
}
