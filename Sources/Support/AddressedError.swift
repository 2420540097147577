/// An error that says what happened, where, and what to do about it.
///
/// Every room has one error type of this shape: a closed `code` that callers can match, and an address for people.
public protocol AddressedError: Error, Sendable, CustomStringConvertible {
    associatedtype Code: Sendable

    /// What kind of failure this is.
    var code: Code { get }
    /// The file as the user named it.
    var file: String { get }
    /// Where in the file: a record batch, a column, a byte range, a dataset. Empty if the whole file is meant.
    var place: String { get }
    /// What was found and what was expected.
    var message: String { get }
    /// One sentence on what to do now.
    var advice: String? { get }
}

extension AddressedError {
    /// `file, place: message; advice`
    public var description: String {
        var text = file
        if !place.isEmpty { text += text.isEmpty ? place : ", \(place)" }
        text += text.isEmpty ? message : ": \(message)"
        if let advice { text += "; \(advice)" }
        return text
    }
}
