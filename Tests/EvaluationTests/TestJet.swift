import Foundation

/// The constituents of a jet, in GeV.
struct TestJet: Sendable {
    var px, py, pz, energy: [Double]

    init(_ rows: [[Double]]) {
        px = rows.map { $0[0] }
        py = rows.map { $0[1] }
        pz = rows.map { $0[2] }
        energy = rows.map { $0[3] }
    }

    var count: Int { px.count }

    static func momentum(pt: Double, eta: Double, phi: Double, mass: Double = 0) -> [Double] {
        let p = pt * cosh(eta)
        return [pt * cos(phi), pt * sin(phi), pt * sinh(eta), (p * p + mass * mass.magnitude).squareRoot()]
    }
}
