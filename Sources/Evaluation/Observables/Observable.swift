/// One number a jet: what it is called, what it is measured in, and where it usually lies.
public struct Observable: Sendable, Hashable, Codable {
    /// The name, such as `tau21_wta`.
    public var name: String
    /// What it is, in words.
    public var meaning: String
    /// The unit: GeV, rad or 1.
    public var unit: String
    /// Whether it counts something.
    public var isInteger: Bool
    /// Where figures show it: most jets of AK8 size lie in it.
    public var range: ClosedRange<Double>

    init(_ name: String, _ meaning: String, unit: String = "1", isInteger: Bool = false, _ range: ClosedRange<Double>) {
        self.name = name
        self.meaning = meaning
        self.unit = unit
        self.isInteger = isInteger
        self.range = range
    }

    /// All that there are, in the order of tables.
    public static var all: [Observable] { ObservableGroups.all.observables }

    /// Finds one by its name.
    public static func named(_ name: String) -> Observable? { all.first { $0.name == name } }
}

/// Observables that are computed together.
public struct ObservableGroups: OptionSet, Sendable, Hashable {
    public let rawValue: Int

    public init(rawValue: Int) { self.rawValue = rawValue }

    /// `jet_pt`, `jet_eta`, `jet_phi`, `jet_mass` of the sum of all constituents, and `multiplicity`.
    public static let jet = ObservableGroups(rawValue: 1)
    /// `tau1` to `tau4`, `tau21`, `tau32`, `tau43` as OmniJet-alpha computes them: axes are the exclusive kT jets with a radius.
    public static let nsubjettiness = ObservableGroups(rawValue: 2)
    /// `e2`, `e3`, `c2`, `d2` of the one exclusive kT jet, as OmniJet-alpha computes `d2`: without what kT gave to the beam.
    public static let correlators = ObservableGroups(rawValue: 4)
    /// `sd_mass`, `sd_pt`, `sd_zg`, `sd_rg`, `sd_multiplicity`: soft drop.
    public static let groomed = ObservableGroups(rawValue: 8)
    /// `tau1_kt` ... `tau43_wta` and `e2_all` ... `d2_all` as the literature defines them: kT and WTA-kT axes with an unlimited radius, and
    /// correlators of all constituents.
    public static let literature = ObservableGroups(rawValue: 16)
    /// `tau1_onepass_kt` ... `tau43_onepass_wta`: axes moved from those seeds to a smaller tau.
    public static let onePass = ObservableGroups(rawValue: 32)
    /// `n_charged_hadron`, `n_neutral_hadron`, `n_photon`, `n_electron`, `n_muon`, `n_other`. Need types of constituents.
    public static let types = ObservableGroups(rawValue: 64)

    /// What the original study shows of each jet.
    public static let original: ObservableGroups = [.jet, .nsubjettiness, .correlators]
    /// All groups.
    public static let all: ObservableGroups = [
        .jet, .nsubjettiness, .correlators, .groomed, .literature, .onePass, .types,
    ]

    /// Groups by the names that command lines use.
    public static let named: [String: ObservableGroups] = [
        "jet": .jet, "nsubjettiness": .nsubjettiness, "correlators": .correlators, "groomed": .groomed,
        "literature": .literature, "onepass": .onePass, "types": .types, "original": .original, "all": .all,
    ]

    /// Groups from their names, separated by commas.
    /// - Throws: `EvaluationError` with code `options` that names what is not known.
    public init(parsing text: String) throws {
        self = []
        for name in text.split(separator: ",") {
            guard let group = Self.named[String(name)] else {
                throw EvaluationError(
                    .options, place: String(name),
                    message: "is no group of observables; there are \(Self.named.keys.sorted().joined(separator: ", "))"
                )
            }
            formUnion(group)
        }
    }

    /// The groups that some observables need.
    public init(needing observables: [Observable]) {
        self = Self.table.filter { _, own in own.contains { observables.contains($0) } }.reduce([]) { $0.union($1.0) }
    }

    /// The observables, in the order of tables.
    public var observables: [Observable] { Self.table.filter { contains($0.0) }.flatMap(\.1) }

    private static let table: [(ObservableGroups, [Observable])] = [
        (
            .jet,
            [
                Observable("jet_pt", "transverse momentum of the sum of constituents", unit: "GeV", 0...1200),
                Observable("jet_eta", "pseudorapidity of the sum", -2.5...2.5),
                Observable("jet_phi", "azimuth of the sum", unit: "rad", -3.2...3.2),
                Observable("jet_mass", "mass of the sum; negative for a negative square", unit: "GeV", 0...300),
                Observable("multiplicity", "constituents", isInteger: true, 0...128),
            ]
        ),
        (.nsubjettiness, taus("", "exclusive kT axes with radius 0.8, pseudorapidity")),
        (.correlators, correlators("", "the one exclusive kT jet")),
        (
            .groomed,
            [
                Observable("sd_mass", "mass after soft drop", unit: "GeV", 0...250),
                Observable("sd_pt", "transverse momentum after soft drop", unit: "GeV", 0...1200),
                Observable("sd_zg", "share of pt of the softer branch where soft drop stopped", 0...0.5),
                Observable("sd_rg", "distance of the branches where soft drop stopped", 0...0.8),
                Observable("sd_multiplicity", "constituents after soft drop", isInteger: true, 0...128),
            ]
        ),
        (
            .literature,
            taus("_kt", "kT axes") + taus("_wta", "WTA-kT axes") + correlators("_all", "all constituents")
        ),
        (
            .onePass,
            taus("_onepass_kt", "axes moved from kT axes") + taus("_onepass_wta", "axes moved from WTA-kT axes")
        ),
        (
            .types,
            ConstituentType.allCases.map {
                Observable("n_\($0.name)", "constituents of type \($0.name)", isInteger: true, 0...128)
            }
        ),
    ]

    private static func taus(_ suffix: String, _ axes: String) -> [Observable] {
        (1...4).map {
            Observable("tau\($0)\(suffix)", "\($0)-subjettiness; \(axes)", 0...[0.6, 0.4, 0.3, 0.2][$0 - 1])
        } + (2...4).map { Observable("tau\($0)\($0 - 1)\(suffix)", "tau\($0) / tau\($0 - 1); \(axes)", 0...1.2) }
    }

    private static func correlators(_ suffix: String, _ what: String) -> [Observable] {
        [
            Observable("e2\(suffix)", "pairs' energy correlator over pt^2, beta 1; \(what)", 0...0.3),
            Observable("e3\(suffix)", "triples' energy correlator over pt^3, beta 1; \(what)", 0...0.03),
            Observable("c2\(suffix)", "e3 / e2^2; \(what)", 0...0.8),
            Observable("d2\(suffix)", "e3 / e2^3; \(what)", 0...12),
        ]
    }
}

/// What a constituent is, as particle flow says.
public enum ConstituentType: UInt8, Sendable, CaseIterable, Codable {
    case chargedHadron, neutralHadron, photon, electron, muon
    /// None of these, or not known.
    case other

    /// The name in columns: `charged_hadron`.
    public var name: String {
        switch self {
        case .chargedHadron: "charged_hadron"
        case .neutralHadron: "neutral_hadron"
        case .photon: "photon"
        case .electron: "electron"
        case .muon: "muon"
        case .other: "other"
        }
    }
}
