import Support

/// A slice of an input.
struct SliceKey: Hashable, Sendable {
    var input: Int
    var slice: Int
}

/// Slices that record batches share.
typealias SliceCache = SharedCache<SliceKey, RowSlice>
