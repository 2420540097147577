/// Text of a figure: names as they are, or signs with markup.
///
/// A string literal is taken as it is: underscores and braces of a dataset's name do not become subscripts.
public struct FigureText: Sendable, Equatable, ExpressibleByStringInterpolation {
    /// In gnuplot's enhanced markup: `{/:Italic p}_T`, `τ_{21}`.
    public let markup: String

    /// A text to show as it is.
    public init(_ text: String) {
        var escaped = ""
        for character in text {
            // What the markup knows as commands; a control character would end a line of the script.
            if "{}_^@&~\\".contains(character) { escaped += "\\" }
            escaped.append(character.unicodeScalars.allSatisfy { $0.value >= 0x20 } ? character : " ")
        }
        markup = escaped
    }

    /// A text with gnuplot's enhanced markup.
    public init(markup: String) {
        self.markup = String(markup.map { $0.unicodeScalars.allSatisfy { $0.value >= 0x20 } ? $0 : " " })
    }

    public init(stringLiteral text: String) { self.init(text) }

    /// A quoted text of a gnuplot script. Between single quotes nothing is replaced or run.
    var quoted: String {
        "'" + markup.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
