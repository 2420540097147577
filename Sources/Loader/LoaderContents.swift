/// What batches hold.
public struct LoaderContents: Sendable, Equatable {
    /// Names of columns, as they were in the source or as the dataset derived them; nil: all, unless there are features.
    public var columns: [String]?
    /// Features of constituents, padded or jagged.
    public var features: FeatureConfiguration?
    /// Whether features come one after the other with offsets, in place of padded ones with a mask.
    public var isJagged = false
    /// Where pt, eta and phi of constituents come from.
    public var angles = AngleSource.stored

    /// Where pt, eta and phi come from.
    public enum AngleSource: String, Codable, Sendable, CaseIterable {
        /// As CMS stored them, where the dataset has them: exact and fast. Else from the four-momenta.
        case stored
        /// From px, py, pz of the source: what a reader of the source computes. Differs from `stored` by the rounding of these
        /// float32 numbers, a few 1e-8 of the value.
        case momenta
    }

    /// All columns; or these, or features.
    public init(columns: [String]? = nil, features: FeatureConfiguration? = nil) {
        self.columns = columns
        self.features = features
    }
}
