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

    /// The text without markup, for names of columns and pages.
    public var plain: String {
        var text = "", rest = markup[...]
        while let character = rest.popFirst() {
            switch character {
            case "\\": if let next = rest.popFirst() { text.append(next) }
            // {/:Italic p}: the font ends with a space.
            case "{" where rest.first == "/": rest = rest.drop { $0 != " " }.dropFirst()
            case "{", "}": break
            default: text.append(character)
            }
        }
        return text
    }

    public init(stringLiteral text: String) { self.init(text) }

    /// A quoted text of a gnuplot script. Between single quotes nothing is replaced or run.
    var quoted: String {
        "'" + markup.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
