/// What FastJet refused, in its own words, or what it was not given.
public struct FastJetError: Error, Sendable, CustomStringConvertible {
    /// What was wrong.
    public let message: String

    public var description: String { "FastJet: \(message)" }
}
