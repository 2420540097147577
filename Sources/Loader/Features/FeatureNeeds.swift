/// Which columns the features of an assembler need.
public struct FeatureNeeds: OptionSet, Sendable, Equatable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// px, py, pz, or pt, eta, phi.
    public static let momenta = FeatureNeeds(rawValue: 1)
    /// E, or the mass beside pt, eta, phi.
    public static let energy = FeatureNeeds(rawValue: 2)
    /// The axes of jets, or that which they are made from: momenta and energies of all constituents, unless
    /// `storedAxis` is there too.
    public static let axis = FeatureNeeds(rawValue: 4)
    /// Where no axes are given: the weights of constituents, the stored field `puppiWeight`.
    public static let puppiWeight = FeatureNeeds(rawValue: 8)
    /// Where no axes are given: the jet fields `jet_pt`, `jet_eta` and `jet_phi`.
    public static let storedAxis = FeatureNeeds(rawValue: 16)
}
