import Kernels

/// What a name of a feature means.
struct FeatureName {
    /// The full name.
    let name: String
    /// The kernel's source.
    let source: Int32
    /// Columns that it needs.
    var needs: FeatureNeeds = []
    /// The stored field that it reads.
    var field: String?
    /// Absolute PDG codes that count.
    var codes: (Double, Double) = (0, 0)

    private init(_ name: String, _ source: pando_feature_source, _ needs: FeatureNeeds) {
        self.name = name
        self.source = Int32(source.rawValue)
        self.needs = needs
    }

    private init(_ name: String, codes: (Double, Double)) {
        self.init(name, PANDO_FEATURE_IS_CODE, [])
        field = "pdgId"
        self.codes = codes
    }

    /// Names that every dataset has; a second one in `short`.
    static let known = [
        FeatureName("part_pt", PANDO_FEATURE_PT, .momenta),
        FeatureName("part_eta", PANDO_FEATURE_ETA, .momenta),
        FeatureName("part_phi", PANDO_FEATURE_PHI, .momenta),
        FeatureName("part_ptrel", PANDO_FEATURE_PTREL, [.momenta, .axis]),
        FeatureName("part_erel", PANDO_FEATURE_EREL, [.energy, .axis]),
        FeatureName("part_etarel", PANDO_FEATURE_ETAREL, [.momenta, .axis]),
        FeatureName("part_phirel", PANDO_FEATURE_PHIREL, [.momenta, .axis]),
        FeatureName("part_deltaR", PANDO_FEATURE_DELTAR, [.momenta, .axis]),
        FeatureName("part_energy", PANDO_FEATURE_ENERGY, .energy),
        FeatureName("part_px", PANDO_FEATURE_PX, .momenta),
        FeatureName("part_py", PANDO_FEATURE_PY, .momenta),
        FeatureName("part_pz", PANDO_FEATURE_PZ, .momenta),
        FeatureName("part_isChargedHadron", codes: (211, 211)),
        FeatureName("part_isNeutralHadron", codes: (130, 1)),
        FeatureName("part_isPhoton", codes: (22, 2)),
        FeatureName("part_isElectron", codes: (11, 11)),
        FeatureName("part_isMuon", codes: (13, 13)),
    ]

    /// Short names: without `part_`, and with the words apart.
    static let short = [
        "eta_rel": "part_etarel", "phi_rel": "part_phirel", "pt_rel": "part_ptrel", "e_rel": "part_erel",
    ]

    /// A stored field as it is.
    init(storedField name: String) {
        self.init(name, PANDO_FEATURE_FIELD, [])
        field = name
    }

    /// Looks a name up: a known one, its short form, or a stored field (also with `part_` before it, or without).
    init?(_ name: String, storedFields: [String]) {
        let full = Self.short[name] ?? name
        var names = [name, "part_" + name]
        if name.hasPrefix("part_") { names.append(String(name.dropFirst(5))) }
        // Momenta go before stored fields of the same name: they also serve where the lattice's angles are given. Kinds of
        // particles follow from codes; files without codes have them as fields.
        let known = Self.known.first { $0.name == full || $0.name == "part_" + full }
        if let known, known.field == nil || storedFields.contains("pdgId") {
            self = known
        } else if let field = names.first(where: storedFields.contains) {
            self.init(storedField: field)
        } else {
            return nil
        }
    }
}
