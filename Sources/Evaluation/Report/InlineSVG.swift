import Foundation

/// An SVG of gnuplot as a part of a page.
struct InlineSVG {
    /// The element, without declaration and document type, with names that no other picture of the page has.
    let text: String

    /// Takes the element out of the file.
    /// - Parameter prefix: What goes before each of its names: gnuplot calls marks and plots the same in each picture.
    /// - Throws: `EvaluationError` with code `figure` for what is no SVG, or would run or fetch something.
    init(_ file: String, prefix: String) throws {
        guard let start = file.range(of: "<svg"), let end = file.range(of: "</svg>", options: .backwards),
            start.lowerBound < end.lowerBound
        else {
            throw EvaluationError(.figure, message: "a picture of the report is no SVG", advice: "draw it again")
        }
        var text = String(file[start.lowerBound..<end.upperBound])
        for forbidden in ["<script", "<foreignObject", "javascript:", "<!ENTITY", "<iframe"]
        where text.range(of: forbidden, options: .caseInsensitive) != nil {
            throw EvaluationError(
                .figure, message: "a picture of the report holds '\(forbidden)'",
                advice: "draw it with gnuplot's terminal svg")
        }
        for found in [" id=\"", " id='", "href=\"#", "href='#", "url(#"] {
            text = text.replacingOccurrences(of: found, with: found + prefix)
        }
        // An address outside of the page; pictures within are data, names of the language are no addresses to fetch.
        for quote in ["\"", "'"] {
            var rest = text[...]
            while let link = rest.range(of: "href=\(quote)") {
                rest = rest[link.upperBound...]
                guard rest.hasPrefix("#") || rest.hasPrefix("data:image/") else {
                    throw EvaluationError(
                        .figure, message: "a picture of the report refers to '\(rest.prefix { String($0) != quote })'",
                        advice: "draw it with gnuplot's terminal svg, which puts everything into one file")
                }
            }
        }
        self.text = text
    }
}
