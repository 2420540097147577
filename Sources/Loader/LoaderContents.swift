/// What batches hold.
public struct LoaderContents: Sendable, Equatable {
    /// Names of columns, as they were in the source or as the dataset derived them; nil: all, unless there is
    /// something else.
    public var columns: [String]?
    /// Features of constituents, padded or jagged, and with them those of jets.
    public var features: FeatureConfiguration?
    /// Whether features come one after the other with offsets, in place of padded ones with a mask.
    public var isJagged = false
    /// Columns of jets, one a class, that become one label a jet: the place of the first whose value is not zero.
    public var labels: [String] = []
    /// A column of jets that holds whole numbers, such as `label` of JetClass: these are the labels, in place of `labels`.
    public var labelColumn: String?
    /// Pairs of input and target for next-token training, padded, from the codes in `tokenColumn`.
    public var tokens: TokenPairs?
    /// A column of constituents of type int16, uint16 or int32.
    public var tokenColumn: String?
    /// Where pt, eta and phi of constituents come from.
    public var angles = AngleSource.stored

    /// Where pt, eta and phi come from.
    public enum AngleSource: String, Codable, Sendable, CaseIterable {
        /// As they are stored, where the dataset has them: on the lattice of CMS exact, in the forward layout (pt with deta,
        /// dphi and the jet's axis) within 1e-6 of the four-momenta; and fast. Else from the four-momenta.
        case stored
        /// From px, py, pz of the source: what a reader of the source computes. Differs from `stored` by the rounding of these
        /// float32 numbers: on the lattice a few 1e-8 of the value, in the forward layout up to 2e-7 in JetClass.
        case momenta
    }

    /// All columns; or these, or features.
    public init(columns: [String]? = nil, features: FeatureConfiguration? = nil) {
        self.columns = columns
        self.features = features
    }

    /// Whether nobody said what batches hold.
    var takesAllColumns: Bool { columns == nil && features == nil && !hasLabels && tokens == nil }

    /// Whether batches have labels.
    var hasLabels: Bool { !labels.isEmpty || labelColumn != nil }
}
