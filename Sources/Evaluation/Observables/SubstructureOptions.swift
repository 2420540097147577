/// What decides how substructure is computed; the defaults are the original's.
public struct SubstructureOptions: Sendable, Hashable, Codable {
    /// The power of distances in N-subjettiness.
    public enum AngularExponent: Int, Sendable, Codable {
        case one = 1, two
    }

    /// How two objects become one in `ObservableGroups.nsubjettiness` and `.correlators`.
    public enum Recombination: String, Sendable, Codable {
        /// Sum of four-momenta (E-scheme).
        case energy
        /// Direction and mass of the harder, sum of pt (WTA-pt scheme).
        case winnerTakesAll
    }

    /// R of the exclusive kT jets, and R0 in every tau.
    public var radius = 0.8
    /// beta of every tau.
    public var exponent = AngularExponent.one
    /// How objects are merged for the original's axes.
    public var recombination = Recombination.energy
    /// z_cut of soft drop (arXiv:1402.2657).
    public var softDropCut = 0.1
    /// beta of soft drop: 0 is the modified mass drop tagger.
    public var softDropExponent = 0.0
    /// R0 of soft drop.
    public var softDropRadius = 0.8
    /// Substructure of jets with fewer constituents is undefined. 1: it is what the formulae say, tau_N = 0 if there are at most N
    /// constituents. The original leaves jets with fewer than 3 out of all its substructure.
    public var minimumConstituents = 1

    /// The defaults.
    public init() {}

    func check() throws(ObservableError) {
        func fault(_ place: String, _ value: Double, _ expected: String) -> ObservableError {
            ObservableError(.options, place: place, message: "is \(value), expected \(expected)")
        }
        guard radius > 0, radius <= 1000 else { throw fault("radius", radius, "above 0, at most 1000") }
        guard softDropRadius > 0, softDropRadius.isFinite else {
            throw fault("radius of soft drop", softDropRadius, "a positive number")
        }
        guard softDropCut >= 0, softDropCut < 0.5 else { throw fault("z cut", softDropCut, "0 to below 0.5") }
        guard softDropExponent.isFinite else { throw fault("beta of soft drop", softDropExponent, "a number") }
        guard minimumConstituents >= 0 else {
            throw ObservableError(
                .options, place: "minimum of constituents", message: "is \(minimumConstituents), expected 0 or more")
        }
    }
}
