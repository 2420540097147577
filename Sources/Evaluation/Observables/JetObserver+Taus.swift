import Foundation
import Kernels

/// N-subjettiness (arXiv:1011.2268) by three recipes, and the correlators that need the same clusterings.
extension JetObserver {
    func observeTaus(
        _ original: UnsafeMutablePointer<Double>?, _ correlators: UnsafeMutablePointer<Double>?,
        _ literature: UnsafeMutablePointer<Double>?, _ onePass: UnsafeMutablePointer<Double>?
    ) {
        let wantsAxes = literature != nil || onePass != nil
        for scheme in [SubstructureOptions.Recombination.energy, .winnerTakesAll] {
            let isOriginal = scheme == options.recombination && (original != nil || correlators != nil)
            guard isOriginal || wantsAxes else { continue }
            let kernel = scheme == .energy ? PANDO_CLUSTER_E : PANDO_CLUSTER_WTA_PT
            // With a radius kT does the same as without until something is merged with the beam.
            let lost = clusters.cluster(PANDO_CLUSTER_KT, kernel, radius: options.radius)
            if isOriginal {
                if let original { tausOfOriginal(scheme, into: original) }
                if let correlators {
                    correlateExclusiveJet(into: correlators)
                    if lost == 0, let literature { copy(correlators, to: literature + 14) }
                }
            }
            guard wantsAxes else { continue }
            if lost > 0 { clusters.cluster(PANDO_CLUSTER_KT, kernel, radius: Self.unlimited) }
            let column = scheme == .energy ? 0 : 7
            takeAxes()
            if let literature { taus(into: literature + column) }
            if let onePass {
                moveAxes()
                taus(into: onePass + column)
            }
            if scheme == .energy, let literature, lost > 0 || !isOriginal || correlators == nil {
                correlate(clusters.count, pt, y, phi, into: literature + 14)
            }
        }
    }

    private func copy(_ four: UnsafeMutablePointer<Double>, to other: UnsafeMutablePointer<Double>) {
        for index in 0..<4 { other[index] = four[index] }
    }

    /// Taus and their ratios, with pseudorapidities of particles and of axes.
    private func tausOfOriginal(
        _ scheme: SubstructureOptions.Recombination, into out: UnsafeMutablePointer<Double>
    ) {
        let o = clusters.objects
        for jets in 1...Self.most where clusters.count > jets {
            var at = jets * (jets - 1)
            clusters.forEachExclusive(jets) { object in
                var pz: Double, transverse = o.pt[object]
                if scheme == .energy || object < clusters.count {
                    pz = o.pz[object]
                } else {
                    let mass = o.mass[object]
                    pz = max(0, transverse * transverse + mass * abs(mass)).squareRoot() * sinh(o.y[object])
                }
                pando_pseudorapidity(1, &pz, &transverse, axes + at)
                axes[at + 1] = o.phi[object]
                at += 2
            }
        }
        taus(into: out, eta)
    }

    /// The axes of the literature, for all N.
    private func takeAxes() {
        let o = clusters.objects
        for jets in 1...Self.most where clusters.count > jets {
            var at = jets * (jets - 1)
            clusters.forEachExclusive(jets) { object in
                axes[at] = o.y[object]
                axes[at + 1] = o.phi[object]
                at += 2
            }
        }
    }

    /// One pass of the minimisation for each N; for beta = 1 only, as the weights belong to it.
    private func moveAxes() {
        for jets in 1...Self.most where clusters.count > jets {
            pando_move_axes(clusters.count, pt, y, phi, jets, axes + jets * (jets - 1), 1000)
        }
    }

    private func taus(into out: UnsafeMutablePointer<Double>) { taus(into: out, y) }

    /// Taus of the axes at hand and their ratios.
    private func taus(into out: UnsafeMutablePointer<Double>, _ height: UnsafePointer<Double>) {
        let isSquared = options.exponent == .two
        let scale = scalarSum * (isSquared ? options.radius * options.radius : options.radius)
        for jets in 1...Self.most {
            guard clusters.count > jets else {
                out[jets - 1] = 0
                continue
            }
            let sum = pando_distance_sum(
                clusters.count, pt, height, phi, jets, axes + jets * (jets - 1), isSquared ? 1 : 0)
            out[jets - 1] = sum / scale
        }
        for index in 0..<3 { out[4 + index] = Self.ratio(out[index + 1], out[index]) }
    }

    /// Correlators of the last object that kT has left.
    private func correlateExclusiveJet(into out: UnsafeMutablePointer<Double>) {
        let count = clusters.count, last = clusters.parents(ofStep: count - 1).0
        var inside = 0
        clusters.forEachConstituent(of: last) { constituent in
            part.pt[inside] = pt[constituent]
            part.y[inside] = y[constituent]
            part.phi[inside] = phi[constituent]
            inside += 1
        }
        // All of them: in their own order, so that the numbers are those of all constituents to the last bit.
        if inside == count { return correlate(count, pt, y, phi, into: out) }
        for index in inside..<Int(pando_padded(inside)) {
            (part.pt[index], part.y[index], part.phi[index]) = (0, 0, 0)
        }
        correlate(inside, part.pt, part.y, part.phi, into: out)
    }
}
