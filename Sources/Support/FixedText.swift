import Glibc

extension Double {
    /// The number with so many digits behind the point, as C's `%.3f` has it: without Foundation's formatters, which bring
    /// the tables of all languages into what is linked with the runtime inside.
    public func fixed(_ digits: Int) -> String {
        withVaList([Int32(clamping: digits), self]) { arguments in
            // The largest number has 309 digits before the point.
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
                let count = vsnprintf(buffer.baseAddress, buffer.count, "%.*f", arguments)
                return String(
                    decoding: buffer.prefix(max(0, min(Int(count), 511))).map(UInt8.init(bitPattern:)), as: UTF8.self)
            }
        }
    }
}
