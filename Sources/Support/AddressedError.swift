/// An error that says what happened, where, and what to do about it.
///
/// Every room has one type of this shape (`PlacedError` with codes of its own): a closed `code` that callers can match,
/// and an address for people.
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

/// An error with an address and a room's own codes.
public struct PlacedError<Code: Sendable & Equatable>: AddressedError {
    public var code: Code
    public var file: String
    public var place: String
    public var message: String
    public var advice: String?

    /// An error from its parts.
    public init(_ code: Code, file: String = "", place: String = "", message: String, advice: String? = nil) {
        self.code = code
        self.file = file
        self.place = place
        self.message = message
        self.advice = advice
    }
}
