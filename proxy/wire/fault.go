package wire

// A Fault is a line that breaks the grammar or a limit. The line has been consumed; the message's
// Tag is set when it could be read.
type Fault struct {
	Kind FaultKind
	Text string // for the peer that sent the line
	Code string // of the response, where it has one (RFC 3501 section 7.1)
}

func (f *Fault) Error() string { return f.Text }

// A FaultKind is a fixed word for a Fault, for metrics and logs.
type FaultKind string

// The kinds of Fault.
const (
	FaultLength  FaultKind = "line_too_long"
	FaultNUL     FaultKind = "nul"
	FaultNewline FaultKind = "bare_newline"
	FaultTag     FaultKind = "tag"
	FaultNesting FaultKind = "nesting"
	FaultSyntax  FaultKind = "syntax"
	FaultUnasked FaultKind = "unasked_literal"
)

// The faults are values that are never changed, so that a hostile peer cannot make them cost memory.
var (
	faultLength   = &Fault{Kind: FaultLength, Text: "Command line too long"}
	faultNUL      = &Fault{Kind: FaultNUL, Text: "NUL in command line"}
	faultBareCR   = &Fault{Kind: FaultNewline, Text: "CR without LF in command line"}
	faultBareLF   = &Fault{Kind: FaultNewline, Text: "Line must end in CRLF"}
	faultTag      = &Fault{Kind: FaultTag, Text: "Invalid tag"}
	faultName     = &Fault{Kind: FaultSyntax, Text: "Missing or invalid command name"}
	faultNesting  = &Fault{Kind: FaultNesting, Text: "Parentheses nested too deeply"}
	faultParen    = &Fault{Kind: FaultSyntax, Text: "Parentheses do not match"}
	faultQuote    = &Fault{Kind: FaultSyntax, Text: "Quoted string does not end, or holds an invalid escape"}
	faultLiteral  = &Fault{Kind: FaultSyntax, Text: "Invalid literal"}
	faultSize     = &Fault{Kind: FaultLength, Text: "Literal too large, or too many literals", Code: "TOOBIG"}
	faultChar     = &Fault{Kind: FaultSyntax, Text: "Invalid character in command line"}
	faultUnasked  = &Fault{Kind: FaultUnasked, Text: "Literals have to wait to be asked for"}
	faultLarge    = &Fault{Kind: FaultUnasked, Text: "Literals of more than 4096 octets have to wait to be asked for", Code: "TOOBIG"}
	faultNotEnded = &Fault{Kind: FaultSyntax, Text: "Parenthesis is not closed"}
)
