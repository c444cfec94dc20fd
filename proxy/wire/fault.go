package wire

// A Fault is a line that breaks the grammar or a limit. The line has been consumed; the message's
// Tag is set when it could be read.
type Fault struct {
	Kind FaultKind
	Text string // for the peer that sent the line
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
)

// The faults are values that are never changed, so that a hostile peer cannot make them cost memory.
var (
	faultLength   = &Fault{FaultLength, "Command line too long"}
	faultNUL      = &Fault{FaultNUL, "NUL in command line"}
	faultBareCR   = &Fault{FaultNewline, "CR without LF in command line"}
	faultBareLF   = &Fault{FaultNewline, "Line must end in CRLF"}
	faultTag      = &Fault{FaultTag, "Invalid tag"}
	faultName     = &Fault{FaultSyntax, "Missing or invalid command name"}
	faultNesting  = &Fault{FaultNesting, "Parentheses nested too deeply"}
	faultParen    = &Fault{FaultSyntax, "Parentheses do not match"}
	faultQuote    = &Fault{FaultSyntax, "Quoted string does not end, or holds an invalid escape"}
	faultLiteral  = &Fault{FaultSyntax, "Invalid literal"}
	faultSize     = &Fault{FaultLength, "Literal too large, or too many literals"}
	faultChar     = &Fault{FaultSyntax, "Invalid character in command line"}
	faultNotEnded = &Fault{FaultSyntax, "Parenthesis is not closed"}
)
