import Kernels
import Support

/// The constituents of one jet, and what clustering makes of them. Each clustering overwrites what the last one made.
///
/// Not Sendable: one thread owns it and uses it again and again.
final class JetClusters {
    /// Constituents of the jet.
    private(set) var count = 0
    private(set) var objects = pando_cluster_objects()
    private let memory = AlignedBuffer()
    private let parentMemory = AlignedBuffer()
    private let scratch = AlignedBuffer()
    private var room = 0
    private var stack: [Int] = []

    /// An object that is nobody's parent.
    static let beam = -1

    /// Makes room for a jet. `px`, `py`, `pz` and `energy` of `objects` are to be filled then, before `prepare`.
    func reserve(_ count: Int) {
        self.count = count
        guard count > room else { return }
        room = max(128, pando_padded(2 * count))
        let stride = 2 * room
        memory.reserve(9 * stride * 8)
        parentMemory.reserve(stride * 4)
        scratch.reserve(pando_cluster_scratch(room) * 8)
        let base = memory.base.assumingMemoryBound(to: Double.self)
        base.initialize(repeating: 0, count: 9 * stride)
        objects = pando_cluster_objects(
            px: base, py: base + stride, pz: base + 2 * stride, energy: base + 3 * stride, y: base + 4 * stride,
            phi: base + 5 * stride, pt: base + 6 * stride, pt2: base + 7 * stride, mass: base + 8 * stride,
            parents: parentMemory.base.assumingMemoryBound(to: Int32.self))
    }

    /// Computes directions and pt of constituents.
    func prepare() { pando_cluster_prepare(count, &objects) }

    /// Clusters until all is merged with the beam. Returns how many objects went to the beam before the last one.
    @discardableResult
    func cluster(
        _ algorithm: pando_cluster_algorithm, _ scheme: pando_cluster_scheme, radius: Double
    ) -> Int {
        Int(
            pando_cluster(
                count, algorithm, scheme, radius, &objects, scratch.base.assumingMemoryBound(to: Double.self)))
    }

    /// The two objects that a step took.
    func parents(ofStep step: Int) -> (Int, Int) {
        (Int(objects.parents[2 * step]), Int(objects.parents[2 * step + 1]))
    }

    /// Calls `body` with each of the objects that are left when there are so many, which is at most `count`.
    func forEachExclusive(_ jets: Int, _ body: (Int) -> Void) {
        let stop = 2 * count - jets
        for step in stop - count..<count {
            let (one, other) = parents(ofStep: step)
            if one < stop { body(one) }
            if other >= 0, other < stop { body(other) }
        }
    }

    /// Calls `body` with each constituent of an object.
    func forEachConstituent(of object: Int, _ body: (Int) -> Void) {
        stack.removeAll(keepingCapacity: true)
        stack.append(object)
        while let next = stack.popLast() {
            guard next >= count else {
                body(next)
                continue
            }
            let (one, other) = parents(ofStep: next - count)
            stack.append(one)
            if other != Self.beam { stack.append(other) }
        }
    }

    /// The mass of an object of the E-scheme in GeV; negative for a negative square.
    func mass(of object: Int) -> Double {
        Self.mass(
            px: objects.px[object], py: objects.py[object], pz: objects.pz[object], energy: objects.energy[object])
    }

    /// The mass of a four-momentum in GeV; negative for a negative square.
    static func mass(px: Double, py: Double, pz: Double, energy: Double) -> Double {
        let square = (energy + pz) * (energy - pz) - (px * px + py * py)
        let mass = square.magnitude.squareRoot()
        return square < 0 ? -mass : mass
    }
}
