/// What a jet's axis is: the direction that relative coordinates refer to, and what `part_ptrel` and `part_erel` are
/// divided by.
public enum JetAxisDefinition: String, Codable, Sendable, CaseIterable {
    /// The sum of all stored constituents, before cuts and without weights, as in OmniJet-alpha.
    case constituents
    /// The sum of all stored constituents, each four-momentum times its `puppiWeight`. A jet whose weights are all 0 has
    /// the axis pt = eta = phi = 0.
    case puppi
    /// `jet_pt`, `jet_eta` and `jet_phi` of the source; it has no energy, so `part_erel` is refused.
    case stored

    package init(named name: String) throws(LoaderError) {
        guard let found = Self(rawValue: name) else {
            throw LoaderError(
                .feature, place: "axis",
                message: "is \"\(name)\", expected \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = found
    }
}
