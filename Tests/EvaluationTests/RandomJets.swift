import Foundation

/// Jets of all kinds from a seed.
struct RandomJets {
    /// What a jet is like.
    enum Kind: CaseIterable {
        /// Two prongs with massive constituents, anywhere.
        case prongs
        /// Massless constituents about the axis, as generated jets have them.
        case centred
        /// Constituents far apart, so that kT with a radius gives some to the beam.
        case wide
        /// Across phi = pi.
        case border
        /// All of one direction but for rounding.
        case collinear
        /// Ten powers of ten in pt.
        case steep
        /// Far forward.
        case forward
    }

    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    /// Uniform in 0..<1.
    mutating func uniform() -> Double {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Double(state >> 11) * 0x1p-53
    }

    mutating func normal() -> Double { (-2 * log(max(1e-300, uniform()))).squareRoot() * cos(2 * .pi * uniform()) }

    /// A jet with so many constituents.
    mutating func jet(_ kind: Kind, count: Int) -> TestJet {
        let axis: (eta: Double, phi: Double) =
            switch kind {
            case .centred: (0, 0)
            case .border: (1.5 * normal(), .pi + 0.02 * normal())
            case .forward: (4.8 + 0.1 * normal(), 2 * .pi * uniform())
            default: (normal(), 2 * .pi * uniform())
            }
        let second = (eta: 0.4 * normal(), phi: 0.4 * normal())
        return TestJet(
            (0..<count).map { index in
                let spread =
                    switch kind {
                    case .wide: 1.2
                    case .collinear: 1e-9
                    default: 0.15
                    }
                let isSecond = kind != .collinear && index % 3 == 0
                let eta = axis.eta + (isSecond ? second.eta : 0) + spread * normal()
                let phi = axis.phi + (isSecond ? second.phi : 0) + spread * normal()
                let pt = kind == .steep ? pow(10, 3 - 10 * uniform()) : exp(1 + 1.2 * normal())
                let mass = kind == .centred ? 0 : [0.13957, 0, 0.4976, 0.000511][index % 4]
                return TestJet.momentum(pt: pt, eta: eta, phi: phi, mass: mass)
            })
    }
}
