import Kernels
import Support

/// Decodes momenta of the forward layout: px, py, pz and E follow from pt, deta, dphi, the jet's axis and residuals.
///
/// Not Sendable: a `JetDecoder` owns it with its memory.
final class ForwardDecoder {
    /// Numbers of the fields px, py, pz, E.
    private let momentum: [Int]
    private var masses: pando_pid_masses
    private let axisEta = AlignedBuffer()
    private let axisPhi = AlignedBuffer()

    /// A decoder for a layout that was held against the fields.
    init(_ layout: ForwardMomenta, encoding: JetEncoding) {
        momentum = layout.momentum.map { name in encoding.fields.firstIndex { $0.name == name } ?? 0 }
        masses = pando_pid_masses(layout.masses)
    }

    func reserve(constituents: Int) {
        for buffer in [axisEta, axisPhi] { buffer.reserve(constituents * 4) }
    }

    /// px, py and pz as far as they are asked for or needed for energies, before exceptions.
    func decodeMomenta(_ stored: StoredJets, into columns: JetColumns) {
        let places = stored.selection.forward
        guard places.ulp.prefix(3).contains(where: { $0 != nil }) else { return }
        var input = prediction(stored)
        func residuals(_ part: Int) -> UnsafePointer<Int8>? {
            places.ulp[part].map { stored.values($0, as: Int8.self) }
        }
        func out(_ part: Int) -> UnsafeMutablePointer<Float>? {
            places.ulp[part] == nil ? nil : floats(part, of: columns)
        }
        if places.ulp[0] != nil || places.ulp[1] != nil {
            pando_forward_transverse(stored.constituents, &input, residuals(0), residuals(1), out(0), out(1))
        }
        if let pz = out(2) { pando_forward_longitudinal(stored.constituents, &input, residuals(2), pz) }
    }

    /// Energies, if they are asked for, of momenta that are exact by now; before their exceptions.
    /// - Returns: Whether they are asked for.
    func decodeEnergy(_ stored: StoredJets, into columns: JetColumns) -> Bool {
        let places = stored.selection.forward
        guard let residuals = places.ulp[3], let pid = places.pid else { return false }
        pando_forward_energy(
            stored.constituents, floats(0, of: columns), floats(1, of: columns), floats(2, of: columns),
            stored.values(pid, as: Int8.self), &masses, stored.values(residuals, as: Int8.self), floats(3, of: columns))
        return true
    }

    /// pt, eta and phi as they are stored; `correct` of what is returned is told the exceptions afterwards.
    func decodeAngles(
        _ stored: StoredJets, pt: UnsafeMutablePointer<Float>, eta: UnsafeMutablePointer<Float>,
        phi: UnsafeMutablePointer<Float>
    ) -> Angles {
        var input = prediction(stored)
        if stored.constituents > 0, let values = input.pt {
            pt.update(from: values, count: stored.constituents)
            pando_forward_angles(stored.constituents, &input, eta, phi)
        }
        return Angles(input: input, momentum: momentum, pt: pt, eta: eta, phi: phi)
    }

    /// Angles of the constituents of some jets, which exceptions of px, py and pz still correct.
    struct Angles {
        private let input: pando_forward
        private let momentum: [Int]
        private let pt, eta, phi: UnsafeMutablePointer<Float>
        // The exceptions of one constituent follow each other.
        private var last = -1
        private var p = SIMD2<Float>()

        fileprivate init(
            input: pando_forward, momentum: [Int], pt: UnsafeMutablePointer<Float>, eta: UnsafeMutablePointer<Float>,
            phi: UnsafeMutablePointer<Float>
        ) {
            self.input = input
            self.momentum = momentum
            self.pt = pt
            self.eta = eta
            self.phi = phi
        }

        /// Takes the angle that a component of the momentum decides from that component. pt is that of the exact momenta.
        mutating func correct(_ place: Int, field: Int, bits: UInt32) {
            guard let component = momentum.prefix(3).firstIndex(of: field) else { return }
            var angle = 0.0
            if component == 2 {
                var (z, transverse) = (Double(Float(bitPattern: bits)), Double(pt[place]))
                pando_pseudorapidity(1, &z, &transverse, &angle)
                eta[place] = Float(angle)
                return
            }
            if place != last { p = transverse(of: place) }
            last = place
            p[component] = Float(bitPattern: bits)
            var (x, y) = (Double(p.x), Double(p.y))
            pando_azimuth(1, &y, &x, &angle)
            phi[place] = Float(angle)
        }

        /// px and py without their residuals: near enough for an angle, as the other one is far away.
        private func transverse(of place: Int) -> SIMD2<Float> {
            guard let pt = input.pt, let dphi = input.dphi, let axis = input.jet_phi else { return SIMD2() }
            var one = pando_forward(pt: pt + place, deta: nil, dphi: dphi + place, jet_eta: nil, jet_phi: axis + place)
            var (x, y) = (Float(), Float())
            pando_forward_transverse(1, &one, nil, nil, &x, &y)
            return SIMD2(x, y)
        }
    }

    private func floats(_ part: Int, of columns: JetColumns) -> UnsafeMutablePointer<Float> {
        columns.fields[momentum[part]].base.assumingMemoryBound(to: Float.self)
    }

    /// What the selection has of the columns that predict, with the axis of each constituent's jet.
    private func prediction(_ stored: StoredJets) -> pando_forward {
        let places = stored.selection.forward
        func values(_ place: Int?) -> UnsafePointer<Float>? { place.map { stored.values($0, as: Float.self) } }
        func repeated(_ place: Int?, _ buffer: AlignedBuffer) -> UnsafePointer<Float>? {
            guard let place else { return nil }
            buffer.reserve(stored.constituents * 4)
            // The same 32 bits, whatever they mean.
            pando_repeat(
                stored.rows, stored.offsetNumbers.baseAddress, stored.values(place, as: Int32.self),
                buffer.base.assumingMemoryBound(to: Int32.self))
            return UnsafePointer(buffer.base.assumingMemoryBound(to: Float.self))
        }
        return pando_forward(
            pt: values(places.pt), deta: values(places.deta), dphi: values(places.dphi),
            jet_eta: repeated(places.axisEta, axisEta), jet_phi: repeated(places.axisPhi, axisPhi))
    }
}
