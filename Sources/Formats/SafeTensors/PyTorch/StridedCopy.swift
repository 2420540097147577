import Support

extension StoredTensor {
    /// Elements that look at one place of their storage are copied only up to so many bytes: a file of a few bytes could ask for any
    /// amount.
    private static let mostRepeated = 1 << 26

    /// Runs `body` on the elements, one after the other; copied if they lie otherwise.
    func withElements<Value>(
        of storage: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Value
    ) throws(SafeTensorsError) -> Value {
        guard count > 0 else { return body(UnsafeRawBufferPointer(start: nil, count: 0)) }
        let start = offset * type.size
        if isContiguous {
            return body(UnsafeRawBufferPointer(rebasing: storage[start..<start + byteCount]))
        }
        guard byteCount <= max(storage.count, Self.mostRepeated) else {
            throw SafeTensorsError(
                .limit, message: "a tensor \(shape) repeats \(storage.count) bytes up to \(byteCount)",
                advice: "save a smaller one, and expand it after loading")
        }
        let copy = AlignedBuffer(capacity: byteCount)
        defer { withExtendedLifetime(copy) {} }
        switch type.size {
        case 8: gather(UInt64.self, from: storage, into: copy.base)
        case 4: gather(UInt32.self, from: storage, into: copy.base)
        case 2: gather(UInt16.self, from: storage, into: copy.base)
        default: gather(UInt8.self, from: storage, into: copy.base)
        }
        return body(UnsafeRawBufferPointer(start: copy.base, count: byteCount))
    }

    /// All elements lie inside the storage: `init` has checked it against the size that the storage has.
    private func gather<Element: BitwiseCopyable>(
        _ type: Element.Type, from storage: UnsafeRawBufferPointer, into target: UnsafeMutableRawPointer
    ) {
        let size = MemoryLayout<Element>.size
        guard let length = shape.last, let stride = strides.last else {
            target.storeBytes(of: storage.loadUnaligned(fromByteOffset: offset * size, as: type), as: type)
            return
        }
        var index = [Int](repeating: 0, count: shape.count - 1)
        var row = offset, written = 0
        while true {
            for column in 0..<length {
                let element = storage.loadUnaligned(fromByteOffset: (row + column * stride) * size, as: type)
                target.storeBytes(of: element, toByteOffset: (written + column) * size, as: type)
            }
            written += length
            // The next row: counts like an odometer. A dimension of length 1 may have any stride, even one that wraps around.
            var dimension = index.count - 1
            while dimension >= 0 {
                index[dimension] += 1
                row &+= strides[dimension]
                if index[dimension] < shape[dimension] { break }
                row &-= strides[dimension] &* shape[dimension]
                index[dimension] = 0
                dimension -= 1
            }
            guard dimension >= 0 else { return }
        }
    }
}
