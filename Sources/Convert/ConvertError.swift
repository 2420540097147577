import Support

/// What stops a conversion or an export.
public struct ConvertError: AddressedError {
    /// The kind of failure.
    public enum Code: Sendable, Equatable {
        /// The source schema cannot be used.
        case schema
        /// An input does not fit the schema or cannot be read.
        case input
        /// An input is not the one that an earlier part of the work has read.
        case inputChanged
        /// An argument cannot be used.
        case usage
        /// The work was stopped by a signal.
        case interrupted
    }

    public var code: Code
    public var file: String
    public var place: String
    public var message: String
    public var advice: String?

    /// An error from its parts.
    public init(_ code: Code, file: String, place: String = "", message: String, advice: String? = nil) {
        self.code = code
        self.file = file
        self.place = place
        self.message = message
        self.advice = advice
    }
}
